from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from support.fake_search import make_record, make_search, simulate

from adaptune.evaluation.importance import CommonEpoch, common_epoch, importances, response
from adaptune.study.study import SearchStudy, create_study


def only_identity(values: Mapping[str, Any], epoch: int) -> float:
    """A curve that does not depend on cycle."""
    return float(0.9 - 0.1 * values["loss_weights.identity"] + 0.01 * epoch)


def study_of(*curves: tuple[list[float], str | None]) -> SearchStudy:
    study = create_study(make_search())
    for curve, error in curves:
        trial = study.ask()
        for epoch, accuracy in enumerate(curve, start=1):
            study.add_epoch(trial, make_record(epoch, accuracy), accuracy)
        study.tell_result(trial, epochs=4, error=error, wall_s=1.0)
    return study


def test_trials_are_compared_at_the_last_epoch_that_all_have_reached() -> None:
    study = study_of(([0.1, 0.2, 0.3, 0.4], None), ([0.2, 0.3], None), ([0.1], "nan"), ([], "nan"))
    study.add_epoch(study.ask(), make_record(1, 0.9), 0.9)
    assert common_epoch(study.started_trials()) == CommonEpoch(2, {0: 0.2, 1: 0.3})


def test_without_an_ended_trial_there_is_no_common_epoch() -> None:
    study = create_study(make_search())
    study.add_epoch(study.ask(), make_record(1, 0.9), 0.9)
    assert common_epoch(study.started_trials()) is None


def test_the_value_that_decides_is_the_important_one() -> None:
    study = simulate(make_search(search={"trials": 30}), None, only_identity)
    trials = study.started_trials()
    common = common_epoch(trials)
    assert common is not None
    assert len(common.objectives) == 30  # stopped trials count
    shares = importances(trials, common, seed=0)
    assert list(shares) == ["loss_weights.identity", "loss_weights.cycle"]
    assert shares["loss_weights.identity"].low > 0.5
    assert sum(importance.share for importance in shares.values()) == pytest.approx(1)
    for importance in shares.values():
        assert 0 <= importance.low <= importance.share <= importance.high <= 1
    assert importances(trials, common, seed=0) == shares


def test_few_trials_or_equal_objectives_say_nothing() -> None:
    few = study_of(*[([0.1 * number], None) for number in range(5)])
    equal = study_of(*[([0.5], None) for _ in range(12)])
    for study in (few, equal):
        common = common_epoch(study.started_trials())
        assert common is not None
        assert importances(study.started_trials(), common, seed=0) == {}


def test_the_band_follows_the_objectives_and_is_wider_where_they_vary() -> None:
    random = np.random.default_rng(0)
    positions = np.linspace(0, 1, 80)
    noise = np.where(positions < 0.5, 0.01, 0.3) * random.standard_normal(80)
    low, high = response(positions, positions + noise, np.array([0.1, 0.9]), seed=0)
    assert low[0] < 0.25
    assert high[1] > 0.6
    assert high[1] - low[1] > 3 * (high[0] - low[0])
