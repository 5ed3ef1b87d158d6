from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError, replace

import pytest
import torch

from adaptune.training.metrics import ClassScores
from adaptune.training.record import EpochRecord, HealthReport

HEALTH = HealthReport(
    diversity=0.5,
    colour_correlation=-0.75,
    brightness_drift=0.25,
    flip_p=1.0,
    flips="",
    symptom="colour inversion: images and translations correlate by -0.75",
)
SCORES = ClassScores(mean_recall=0.7, macro_f1=0.6, auroc=0.8, recall={"cat": 0.9, "dog": 0.5})
RECORD = EpochRecord(
    epoch=3,
    train_s=2.0,
    eval_s=0.5,
    source_val_accuracy=0.9,
    target_val_accuracy=0.75,
    target_val_loss=1.25,
    target_val=SCORES,
    losses={"task": 0.5, "cycle": 2.0},
    gradient_norms={"g_st": 3.5, "f_t": 0.25},
    validators={"entropy": -0.25, "infomax": 0.125},
    health=HEALTH,
)
UNLABELLED = replace(
    RECORD, target_val_accuracy=None, target_val_loss=None, target_val=None, health=None
)


@pytest.mark.parametrize("record", [RECORD, UNLABELLED])
def test_a_record_survives_json(record: EpochRecord) -> None:
    assert EpochRecord.from_json(record.to_json()) == record


def test_a_record_survives_json_with_nan() -> None:
    record = replace(RECORD, validators={"dev": math.nan, "snd": 0.5})
    copy = EpochRecord.from_json(record.to_json())
    assert math.isnan(copy.validators["dev"])
    assert replace(copy, validators={}) == replace(record, validators={})


def test_a_record_survives_a_checkpoint(tmp_path: object) -> None:
    path = f"{tmp_path}/record.pt"
    torch.save(RECORD.to_dict(), path)
    assert EpochRecord.from_dict(torch.load(path, weights_only=True)) == RECORD


def test_the_dictionary_holds_plain_values() -> None:
    values = RECORD.to_dict()
    assert json.loads(json.dumps(values)) == values
    assert values["health"]["diversity"] == 0.5


def test_a_record_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        RECORD.epoch = 4  # type: ignore[misc]


def test_the_row_of_a_table_has_one_column_per_value() -> None:
    assert RECORD.flat() == {
        "epoch": 3,
        "loss/task": 0.5,
        "loss/cycle": 2.0,
        "target_val_accuracy": 0.75,
        "target_val_loss": 1.25,
        "source_val_accuracy": 0.9,
        "target_val_mean_recall": 0.7,
        "target_val_macro_f1": 0.6,
        "target_val_auroc": 0.8,
        "target_val_recall/cat": 0.9,
        "target_val_recall/dog": 0.5,
        "gradient_norm/g_st": 3.5,
        "gradient_norm/f_t": 0.25,
        "validator/entropy": -0.25,
        "validator/infomax": 0.125,
        "health/diversity": 0.5,
        "health/colour_correlation": -0.75,
        "health/brightness_drift": 0.25,
        "health/flip_p": 1.0,
        "health/flips": "",
        "health/symptom": HEALTH.symptom,
        "unhealthy": None,
        "train_s": 2.0,
        "eval_s": 0.5,
    }


def test_the_row_has_no_health_columns_if_health_was_not_checked() -> None:
    row = UNLABELLED.flat()
    assert not [column for column in row if column.startswith("health/")]
    assert "unhealthy" not in row
    assert row["target_val_accuracy"] is None


def test_the_row_leaves_out_metrics_that_are_not_defined() -> None:
    scores = ClassScores(
        mean_recall=1.0, macro_f1=0.5, auroc=None, recall={"cat": 1.0, "dog": None}
    )
    row = replace(RECORD, target_val=None, source_val=scores).flat()
    columns = {name: value for name, value in row.items() if name.startswith("source_val_")}
    assert columns == {
        "source_val_accuracy": 0.9,
        "source_val_mean_recall": 1.0,
        "source_val_macro_f1": 0.5,
        "source_val_recall/cat": 1.0,
    }


def test_a_record_without_the_metrics_of_later_versions_is_read() -> None:
    values = RECORD.to_dict()
    del values["source_val"], values["target_val"]
    record = EpochRecord.from_dict(values)
    assert record == replace(RECORD, target_val=None)
    assert record.target_metric("accuracy") == 0.75
    assert record.target_metric("macro_f1") is None


def test_seconds_of_training_and_evaluation_are_active() -> None:
    assert RECORD.active_s == 2.5


def test_the_symptom_of_an_unhealthy_gan_is_the_records_own() -> None:
    assert RECORD.unhealthy is None
    assert UNLABELLED.unhealthy is None
    unhealthy = replace(HEALTH, unhealthy=HEALTH.symptom)
    assert replace(RECORD, health=unhealthy).unhealthy == HEALTH.symptom


def test_the_score_is_accuracy_then_loss() -> None:
    metric = "target_val_accuracy"
    assert RECORD.score(metric) == (0.75, -1.25)
    more_accurate = replace(RECORD, target_val_accuracy=0.8, target_val_loss=9.0)
    assert more_accurate.score(metric) > RECORD.score(metric)
    lower_loss = replace(RECORD, target_val_loss=1.0)
    assert lower_loss.score(metric) > RECORD.score(metric)


@pytest.mark.parametrize(
    ("metric", "value"),
    [("target_val_mean_recall", 0.7), ("target_val_macro_f1", 0.6), ("target_val_auroc", 0.8)],
)
def test_the_score_of_another_metric_is_its_value_then_the_loss(metric: str, value: float) -> None:
    assert RECORD.score(metric) == (value, -1.25)


def test_the_score_of_auroc_needs_two_classes() -> None:
    record = replace(RECORD, target_val=replace(SCORES, auroc=None))
    with pytest.raises(ValueError, match="AUROC two classes"):
        record.score("target_val_auroc")


def test_the_score_of_a_validator_needs_no_target_labels() -> None:
    assert UNLABELLED.score("infomax") == (0.125, 0.0)


def test_the_score_of_the_ensemble_is_the_last_epoch() -> None:
    assert UNLABELLED.score("ensemble") == (3.0, 0.0)


def test_the_score_of_the_accuracy_needs_target_labels() -> None:
    with pytest.raises(ValueError, match="needs target labels"):
        UNLABELLED.score("target_val_accuracy")
