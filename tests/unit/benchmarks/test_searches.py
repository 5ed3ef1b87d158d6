from __future__ import annotations

from typing import Any

import pytest
from landscapes import EPOCHS, SPACE
from ray.tune.search.optuna import OptunaSearch
from searches import (
    CONCURRENCY,
    CURVES,
    GROUP_SIZE,
    IN_GROUPS,
    MOST_TRIALS,
    SEARCHES,
    LimitedSearcher,
    adaptune_search,
    make_spec,
    ray_search,
)


class StubSearcher:
    """Records the trials that completed."""

    def __init__(self) -> None:
        self.completed: list[tuple[str, object, bool]] = []

    def suggest(self, trial_id: str) -> dict[str, Any]:
        return {"id": trial_id}

    def on_trial_complete(self, trial_id: str, result: object, error: bool) -> None:
        self.completed.append((trial_id, result, error))


def test_the_spec_searches_the_landscapes_weights() -> None:
    spec = make_spec(7, "random", {"name": "none"}, group_size=2)
    assert spec.space == dict(sorted(SPACE.items()))
    assert (spec.seed, spec.epochs, spec.planned_trials) == (7, EPOCHS, MOST_TRIALS)
    assert (spec.search.scheduler.name, spec.search.sampler.name) == ("none", "random")
    assert spec.search.group_size == 2


def test_rays_searcher_has_so_many_trials_and_so_many_at_the_same_time() -> None:
    stub = StubSearcher()
    searcher = LimitedSearcher(stub, CONCURRENCY + 1)
    for number in range(CONCURRENCY):
        assert searcher.suggest(f"trial-{number}") == {"id": f"trial-{number}"}
    assert searcher.suggest("too-many") is None
    searcher.on_trial_complete("trial-0", {"error": "nan"}, error=True)
    searcher.on_trial_complete("trial-1", {"objective": 0.5})
    assert stub.completed == [
        ("trial-0", None, True),
        ("trial-1", {"objective": 0.5}, False),
    ]
    assert searcher.suggest("last") == {"id": "last"}
    assert searcher.suggest("after-the-last") == OptunaSearch.FINISHED


@pytest.mark.parametrize("make_search", [ray_search, adaptune_search])
def test_the_values_of_a_suggestion_are_in_the_space(make_search: Any) -> None:
    search = make_search(0)
    [(number, values)] = search.trials(search.searcher.suggest("trial-0"), 0).items()
    assert number == 0
    assert set(values) == set(SPACE)
    for path, distribution in SPACE.items():
        assert distribution.contains(values[path])


def test_a_group_has_trials_of_one_gan() -> None:
    search = SEARCHES[CURVES + IN_GROUPS](0)
    config = search.searcher.suggest("trial-0")
    trials = search.trials(config, 0)
    assert list(trials) == list(range(GROUP_SIZE))
    assert len({values["loss_weights.cycle"] for values in trials.values()}) == 1
    assert len({values["loss_weights.information"] for values in trials.values()}) == GROUP_SIZE
    config["ended"] = [1]
    assert list(search.running(config, trials)) == [0, 2, 3]
