from __future__ import annotations

from pathlib import Path

import pytest
from optuna.trial import TrialState
from support.fake_search import make_record, make_search

from adaptune.evaluation.costs import (
    device_s,
    device_s_saved,
    device_s_to_reach,
    overhead_device_s,
    search_costs,
)
from adaptune.study.storage import open_study
from adaptune.study.study import SearchStudy
from adaptune.study.trial import TrialPlacement

EPOCH_S = 2.5  # of each epoch of `make_record`


def make_study(folder: Path, curves: list[list[float]], *, error: str | None = None) -> SearchStudy:
    """A study of trials with these accuracies per epoch, each of which took 10 s."""
    study = open_study(make_search(training={"epochs": 3}), folder / "journal")
    for curve in curves:
        trial = study.ask()
        for epoch, accuracy in enumerate(curve, start=1):
            study.add_epoch(trial, make_record(epoch, accuracy), accuracy)
        study.tell_result(trial, epochs=3, error=error, wall_s=10)
    return study


def test_costs_are_counted_in_device_seconds(tmp_path: Path) -> None:
    study = make_study(tmp_path, [[0.5] * 3, [0.4], [0.895, 0.9]])
    costs = search_costs(study, epochs=3, workers=2)
    assert costs.complete == pytest.approx(3 * EPOCH_S * 2)
    assert costs.pruned == pytest.approx(3 * EPOCH_S * 2)
    assert costs.failed == 0
    assert costs.saved_by_stopping == pytest.approx((EPOCH_S * 2 + EPOCH_S) * 2)
    assert costs.to_99_percent_of_best == pytest.approx(EPOCH_S * 5 * 2)
    assert costs.overhead == pytest.approx((30 - EPOCH_S * 6) * 2)


def test_a_failed_trial_costs_everything_that_it_took(tmp_path: Path) -> None:
    study = make_study(tmp_path, [[0.5]], error="step 3: the cycle term is nan")
    trials = study.started_trials()
    assert device_s(trials, TrialState.FAIL, 2) == 20
    assert overhead_device_s(trials, 2) == 0
    assert device_s_saved(trials, 3, 2) == 0


def test_a_resumed_trial_has_no_known_overhead(tmp_path: Path) -> None:
    study = open_study(make_search(), tmp_path / "journal")
    trial = study.ask()
    study.add_epoch(trial, make_record(1, 0.5), 0.5)
    study.tell_result(trial, epochs=1, error=None, wall_s=None)
    assert overhead_device_s(study.started_trials(), 2) == 0
    failed = study.ask()
    study.add_epoch(failed, make_record(1, 0.5), 0.5)
    study.tell_result(failed, epochs=1, error="killed", wall_s=None)
    assert device_s(study.started_trials(), TrialState.FAIL, 2) == EPOCH_S * 2


def test_the_best_of_a_score_below_zero_is_reached_too(tmp_path: Path) -> None:
    trials = make_study(tmp_path, [[-0.5, -0.2], [-0.2]]).started_trials()
    assert device_s_to_reach(trials, 0.99, workers=1) == pytest.approx(EPOCH_S * 2)


def test_nothing_is_reached_without_an_epoch(tmp_path: Path) -> None:
    assert device_s_to_reach([], 0.99, workers=1) is None
    costs = search_costs(make_study(tmp_path, [[]]), epochs=3, workers=1)
    assert costs.to_99_percent_of_best is None
    assert costs.saved_by_stopping == 0


def test_trials_of_earlier_sessions_cost_the_workers_that_they_had(tmp_path: Path) -> None:
    study = make_study(tmp_path, [[0.5]])
    trial = study.ask()
    study.add_epoch(trial, make_record(1, 0.6), 0.6)
    four = TrialPlacement("ray_train", 4)
    study.tell_result(trial, epochs=3, error=None, wall_s=10, placement=four)
    costs = search_costs(study, epochs=3, workers=1)
    assert costs.pruned == pytest.approx(EPOCH_S * (1 + 4))
    assert costs.overhead == pytest.approx((10 - EPOCH_S) * (1 + 4))
    assert costs.saved_by_stopping == pytest.approx(2 * EPOCH_S * (1 + 4))
    assert costs.to_99_percent_of_best == pytest.approx(EPOCH_S * (1 + 4))
