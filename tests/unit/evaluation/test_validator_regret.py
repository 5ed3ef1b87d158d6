"""Validators judged by labels that the search may not have used."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from support.fake_search import make_record, make_search

from adaptune.evaluation.validator_regret import validator_regrets
from adaptune.study.storage import open_study
from adaptune.study.study import SearchStudy
from adaptune.training.metrics import ClassScores
from adaptune.training.record import ENSEMBLE
from adaptune.training.validators import VALIDATORS

Curve = list[tuple[float, float]]


def validators(score: float) -> dict[str, float]:
    """All validators have this score, except `entropy`, which is constant."""
    return dict.fromkeys(VALIDATORS, score) | {"entropy": 0.5}


def make_study(folder: Path, curves: list[Curve]) -> SearchStudy:
    """A study of trials whose epochs have (accuracy, score of the validators)."""
    study = open_study(make_search(training={"epochs": 3}), folder / "journal")
    for curve in curves:
        add_trial(study, curve)
    return study


def add_trial(study: SearchStudy, curve: Curve, error: str | None = None) -> int:
    trial = study.ask()
    for epoch, (accuracy, score) in enumerate(curve, start=1):
        record = make_record(epoch, accuracy, validators=validators(score))
        study.add_epoch(trial, record, accuracy)
    study.tell_result(trial, epochs=3, error=error, wall_s=10)
    return trial.number


def test_a_validator_is_judged_by_its_ranks_and_its_choice(tmp_path: Path) -> None:
    study = make_study(tmp_path, [[(0.5, 1.0), (0.6, 2.0), (0.7, 3.0)], [(0.9, 2.5)]])
    regrets = {regret.validator: regret for regret in validator_regrets(study)}
    assert regrets["infomax"].correlation == pytest.approx(0.8)
    assert (regrets["infomax"].chosen_trial, regrets["infomax"].chosen_epoch) == (0, 3)
    assert regrets["infomax"].regret == pytest.approx(0.2)
    assert regrets["ensemble"].chosen_epoch in (1, 3)  # the last one of a trial
    assert regrets["entropy"].correlation is None


def test_the_lowest_regret_comes_first(tmp_path: Path) -> None:
    # `entropy` is constant and chooses the first epoch, the others choose the best one.
    study = make_study(tmp_path, [[(0.5, 1.0), (0.9, 2.0)]])
    regrets = validator_regrets(study)
    assert len(regrets) == len(VALIDATORS) + 1
    assert regrets[-1].validator == "entropy"
    assert regrets[-1].regret == pytest.approx(0.4)
    assert [regret.regret for regret in regrets[:-1]] == [0] * len(VALIDATORS)


def test_the_metric_of_the_search_judges_the_validators(tmp_path: Path) -> None:
    spec = make_search(training={"epochs": 2}, search={"metric": "target_val_mean_recall"})
    study = open_study(spec, tmp_path / "journal")
    trial = study.ask()
    for epoch, (accuracy, recall, score) in enumerate(((0.9, 0.4, 2.0), (0.8, 0.7, 1.0)), start=1):
        scores = ClassScores(mean_recall=recall, macro_f1=0.5, auroc=None, recall={})
        record = make_record(epoch, accuracy, validators=validators(score), target_val=scores)
        study.add_epoch(trial, record, recall)
    study.tell_result(trial, epochs=2, error=None, wall_s=10)
    regrets = {regret.validator: regret for regret in validator_regrets(study)}
    # `infomax` chooses the epoch with the higher accuracy, which has the lower mean recall.
    assert regrets["infomax"].regret == pytest.approx(0.3)
    assert regrets["infomax"].correlation == pytest.approx(-1)


def test_there_is_no_regret_without_labels(tmp_path: Path) -> None:
    study = make_study(tmp_path, [])
    assert validator_regrets(study) == []
    record = make_record(1, 0.5, target_val_accuracy=None, target_val_loss=None)
    study.add_epoch(study.ask(), record, 1.0)
    assert validator_regrets(study) == []


def test_failed_trials_and_scores_that_are_not_numbers_are_skipped(tmp_path: Path) -> None:
    study = make_study(tmp_path, [[(0.5, 0.5)], [(0.4, math.nan)]])
    failed = add_trial(study, [(0.99, 0.5)], error="step 3: nan")
    regrets = validator_regrets(study)
    assert {regret.validator for regret in regrets} == {"entropy", ENSEMBLE}
    assert all(regret.chosen_trial != failed for regret in regrets)


def test_a_validator_that_some_epochs_lack_is_left_out(tmp_path: Path) -> None:
    study = make_study(tmp_path, [[(0.5, 1.0), (0.9, 2.0)]])
    trial = study.ask()
    scores = validators(3.0)
    del scores["infomax"]  # of a version without it
    study.add_epoch(trial, make_record(1, 0.6, validators=scores), 0.6)
    study.tell_result(trial, epochs=3, error=None, wall_s=10)
    names = [regret.validator for regret in validator_regrets(study)]
    assert "entropy" in names
    assert "infomax" not in names
    assert ENSEMBLE not in names  # which is computed from it
