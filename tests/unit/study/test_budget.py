from __future__ import annotations

from support.fake_search import make_search

from adaptune.study.budget import SearchBudget


def test_the_extent_of_a_search_is_that_of_its_spec() -> None:
    spec = make_search(search={"trials": 7}, training={"epochs": 4})
    assert SearchBudget.of(spec, 60.0) == SearchBudget(7, 4, 60.0, group_size=1)


def test_a_grid_that_is_smaller_than_the_number_of_trials_ends_before() -> None:
    grid = {"name": "grid", "points": 2}
    spec = make_search(search={"trials": 7, "sampler": grid})
    assert SearchBudget.of(spec, 60.0).trials == 4
