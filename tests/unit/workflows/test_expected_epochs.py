from __future__ import annotations

from typing import Any

import pytest
from support.fake_search import make_search, smooth
from support.fake_search import simulate as run_search

from adaptune.spec.schema import SearchSpec
from adaptune.workflows.expected_epochs import MAX_TRIALS, expected_epochs, simulate

ASHA = {"name": "asha", "grace_epochs": 1, "reduction_factor": 4}


def make_spec(scheduler: Any, trials: int = 16, **search: Any) -> SearchSpec:
    options = {"trials": trials, "scheduler": scheduler} | search
    return make_search(training={"epochs": 10}, search=options)


@pytest.mark.parametrize("scheduler", [ASHA, "asha", "hyperband", "median", "none"])
@pytest.mark.parametrize(("trials", "at_once"), [(16, 1), (40, 4)])
def test_a_search_trains_about_as_many_epochs_as_expected(
    scheduler: Any, trials: int, at_once: int
) -> None:
    spec = make_spec(scheduler, trials)
    trained = []
    for seed in range(3):
        seeded = spec.model_copy(update={"seed": seed})
        study = run_search(seeded, None, smooth, concurrency=at_once)
        trained.append(sum(trial.last_epoch for trial in study.started_trials()))
    mean = sum(trained) / len(trained)
    assert expected_epochs(spec, at_once).total == pytest.approx(mean, rel=0.25)


def test_a_group_is_as_long_as_its_longest_trial_and_counts_once() -> None:
    feature = {"search": "uniform", "low": 0, "high": 1}
    spec = make_search(
        space={"loss_weights.feature": feature},
        training={"epochs": 10},
        search={"trials": 7, "scheduler": "none", "classifiers_per_gan": 3},
    )
    epochs = expected_epochs(spec, at_once=2)
    assert (epochs.trials, epochs.total, epochs.in_sequence) == (3, 30.0, 20.0)


def test_the_expectation_is_the_same_each_time() -> None:
    spec = make_spec(ASHA)
    assert expected_epochs(spec, 2) == expected_epochs(spec, 2)


def test_without_a_scheduler_each_trial_trains_all_epochs() -> None:
    epochs = expected_epochs(make_spec("none", trials=5), at_once=2)
    assert (epochs.trials, epochs.total, epochs.in_sequence) == (5, 50.0, 30.0)


def test_a_search_by_asha_trains_each_trial_to_a_rung_or_to_the_end() -> None:
    lengths = simulate(make_spec(ASHA), at_once=1, seed=3)
    assert len(lengths) == 16
    assert set(lengths) <= {1, 4, 10}
    assert lengths[0] == 10  # there is nothing to compare it with


def test_a_sampler_that_learns_has_fewer_trials_stopped() -> None:
    learning = expected_epochs(make_spec(ASHA, trials=60), at_once=1)
    random = expected_epochs(make_spec(ASHA, trials=60, sampler="random"), at_once=1)
    assert learning.total > 1.2 * random.total


def test_a_long_search_is_simulated_in_part() -> None:
    part = expected_epochs(make_spec("none", trials=MAX_TRIALS), at_once=1)
    whole = expected_epochs(make_spec("none", trials=50 * MAX_TRIALS), at_once=1)
    assert whole.total == 50 * part.total


def test_of_a_resumed_search_the_rest_counts() -> None:
    spec = make_spec("none", trials=4)
    epochs = expected_epochs(spec, at_once=1, trained={0: None, 1: 7})
    assert (epochs.trials, epochs.total) == (3, 3.0 + 10.0 + 10.0)
    ended = expected_epochs(spec, at_once=1, trained=dict.fromkeys(range(4)))
    assert (ended.trials, ended.total, ended.in_sequence) == (0, 0.0, 0.0)
