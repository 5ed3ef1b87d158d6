"""What an epoch is worth to the search."""

from __future__ import annotations

from typing import Any

import pytest
from adaptune.training.guide import score

from adaptune.study.objective import ENSEMBLE_VALIDATORS, Objective


def record(epoch: int, value: float, **extra: Any) -> dict[str, Any]:
    return (
        {"epoch": epoch, "target_val_accuracy": 0.5, "target_val_loss": 1.0}
        | dict.fromkeys(ENSEMBLE_VALIDATORS, value)
        | extra
    )


def test_a_single_validator_is_worth_what_it_says() -> None:
    guide = Objective("v_measure")
    guide.note(0, record(1, 0.3))
    assert guide.value(record(2, 0.7)) == 0.7
    assert not guide.is_rank_based


def test_the_ensemble_ranks_among_all_epochs_and_its_members_count_alike() -> None:
    guide = Objective("ensemble")
    for number, value in enumerate((0.1, 0.2, 0.3)):
        guide.note(number, record(1, value))
        guide.note(number, record(1, value))  # said again after a resume
    assert [guide.value(record(1, value)) for value in (0.1, 0.2, 0.3)] == pytest.approx(
        [1 / 6, 1 / 2, 5 / 6]
    )
    mixed = record(1, 0.3) | {ENSEMBLE_VALIDATORS[0]: 0.1}
    assert guide.value(mixed) == pytest.approx((1 / 6 + 3 * 5 / 6) / 4)
    guide.note(3, record(1, 0.4))
    assert guide.value(record(1, 0.3)) == pytest.approx(5 / 8)


def test_within_a_trial_accuracy_then_loss_decide_and_the_ensemble_takes_the_last_epoch() -> None:
    assert score(record(1, 0.1), "target_val_accuracy") > score(
        record(2, 0.9, target_val_loss=2), "target_val_accuracy"
    )
    assert score(record(1, 0.1), "infomax") < score(record(2, 0.9), "infomax")
    assert score(record(1, 0.9), "ensemble") < score(record(2, 0.1), "ensemble")
