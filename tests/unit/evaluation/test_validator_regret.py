"""Validators judged by labels, and what a search cost."""

from __future__ import annotations

import math
from pathlib import Path

import optuna
import pytest
from adaptune.training.guide import ENSEMBLE
from support.fake_search import make_record, make_search

from adaptune.evaluation.validator_regret import validator_regrets
from adaptune.search.callbacks.tables import device_s_saved, device_s_to_reach, overhead
from adaptune.study import study as studies
from adaptune.study.storage import open_study
from adaptune.training.validators import VALIDATORS


def made(folder: Path, curves: list[list[tuple[float, float]]]) -> optuna.Study:
    """A study of trials whose epochs have (accuracy, what every validator but `entropy` says); entropy is constant."""
    spec = make_search(training={"epochs": 3})
    study = open_study(spec, str(folder / "journal"))
    for curve in curves:
        trial = studies.ask(study, spec)
        for epoch, (accuracy, said) in enumerate(curve, start=1):
            scores = {f"validator/{name}": said for name in VALIDATORS} | {"validator/entropy": 0.5}
            studies.add_epoch(trial, make_record(epoch, accuracy) | scores, accuracy)
        studies.finish(study, trial, epochs=3, error=None, wall_s=10)
    return study


def test_a_validator_is_judged_by_its_ranks_and_its_choice(tmp_path: Path) -> None:
    study = made(tmp_path, [[(0.5, 1.0), (0.6, 2.0), (0.7, 3.0)], [(0.9, 2.5)]])
    found = {one.validator: one for one in validator_regrets(study)}
    assert found["infomax"].correlation == pytest.approx(0.8)
    assert (found["infomax"].chosen_trial, found["infomax"].chosen_epoch) == (0, 3)
    assert found["infomax"].regret == pytest.approx(0.2)
    assert found["ensemble"].chosen_epoch in (1, 3)  # a trial's last
    assert found["entropy"].correlation is None


def test_without_labels_there_is_no_hindsight(tmp_path: Path) -> None:
    study = made(tmp_path, [])
    assert validator_regrets(study) == []
    spec = make_search()
    trial = studies.ask(study, spec)
    studies.add_epoch(
        trial, make_record(1, 0.5) | {"target_val_accuracy": None, "validator/source_val": 1.0}, 1.0
    )
    assert validator_regrets(study) == []


def test_costs_are_counted_in_device_seconds(tmp_path: Path) -> None:
    study = made(tmp_path, [[(0.5, 1)] * 3, [(0.4, 1)], [(0.895, 1), (0.9, 1)]])
    assert device_s_saved(study, epochs=3, workers=2) == pytest.approx((2.5 * 2 + 2.5) * 2)
    assert device_s_to_reach(study, 0.99, workers=2) == pytest.approx(2.5 * 5 * 2)
    assert overhead(study, workers=2) == pytest.approx((30 - 2.5 * 6) * 2)


def test_the_best_of_a_score_below_zero_is_reached_too(tmp_path: Path) -> None:
    study = made(tmp_path, [[(-0.5, 1), (-0.2, 1)], [(-0.2, 1)]])
    assert device_s_to_reach(study, 0.99, workers=1) == pytest.approx(2.5 * 2)


def test_hindsight_passes_over_failed_trials_and_what_is_not_a_number(tmp_path: Path) -> None:
    study = made(tmp_path, [[(0.5, 0.5)], [(0.4, math.nan)]])
    spec = make_search()
    failed = studies.ask(study, spec)
    studies.add_epoch(failed, make_record(1, 0.99) | {"validator/entropy": 0.5}, 0.99)
    studies.finish(study, failed, epochs=3, error="step 3: nan", wall_s=1)
    found = validator_regrets(study)
    assert {one.validator for one in found} == {"entropy", ENSEMBLE}
    assert all(one.chosen_trial != failed.number for one in found)
