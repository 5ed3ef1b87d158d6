from __future__ import annotations

import pytest
from support.fake_search import make_record

from adaptune.study.objective import (
    ENSEMBLE_VALIDATORS,
    Objective,
    format_objective,
    format_value,
    metric_label,
)
from adaptune.training.record import TARGET_VAL, EpochRecord


def scored(epoch: int, score: float, **others: float) -> EpochRecord:
    """A record with the same score by all validators of the ensemble, but for others."""
    validators = dict.fromkeys(ENSEMBLE_VALIDATORS, score) | others
    return make_record(epoch, 0.5, validators=validators)


def test_a_single_validator_is_the_objective_itself() -> None:
    objective = Objective("v_measure")
    objective.observe(0, scored(1, 0.3))
    assert objective.value(scored(2, 0.7)) == 0.7
    assert not objective.is_rank_based


def test_the_accuracy_is_the_objective_itself() -> None:
    assert Objective(TARGET_VAL).value(make_record(1, 0.75)) == 0.75


def test_the_ensemble_ranks_among_all_epochs_and_its_validators_count_alike() -> None:
    objective = Objective("ensemble")
    assert objective.is_rank_based
    for number, score in enumerate((0.1, 0.2, 0.3)):
        objective.observe(number, scored(1, score))
        objective.observe(number, scored(1, score))  # reported again after a resume
    values = [objective.value(scored(1, score)) for score in (0.1, 0.2, 0.3)]
    assert values == pytest.approx([1 / 6, 1 / 2, 5 / 6])
    mixed = scored(1, 0.3, **{ENSEMBLE_VALIDATORS[0]: 0.1})
    assert objective.value(mixed) == pytest.approx((1 / 6 + 3 * 5 / 6) / 4)
    objective.observe(3, scored(1, 0.4))
    assert objective.value(scored(1, 0.3)) == pytest.approx(5 / 8)


def test_the_same_epoch_of_another_trial_is_another_epoch() -> None:
    objective = Objective("ensemble")
    objective.observe(0, scored(1, 0.2))
    objective.observe(1, scored(1, 0.4))
    assert objective.value(scored(1, 0.4)) == pytest.approx(3 / 4)


def test_the_loss_breaks_ties_of_a_metric_at_a_rung_and_nothing_else() -> None:
    objective = Objective(TARGET_VAL)
    sure, unsure = (objective.rung_value(make_record(1, 0.75, loss)) for loss in (0.2, 0.9))
    assert unsure < sure < unsure + 1e-6
    assert unsure == pytest.approx(0.75, abs=1e-6)
    assert Objective("v_measure").rung_value(scored(1, 0.7)) == 0.7


def test_an_ensemble_without_any_epoch_has_no_value() -> None:
    with pytest.raises(ZeroDivisionError):
        Objective("ensemble").value(scored(1, 0.5))


def test_an_accuracy_is_printed_as_a_percentage_and_a_validator_as_a_number() -> None:
    assert format_objective(TARGET_VAL, 0.8974) == "target_val 89.7%"
    assert format_objective("v_measure", 0.81236) == "v_measure 0.8124"
    assert format_value(TARGET_VAL, 1.0) == "100.0%"
    assert format_objective("target_val_macro_f1", 0.5) == "target_val_macro_f1 50.0%"
    assert format_value("ensemble", 0.5) == "0.5000"


def test_only_the_accuracy_has_a_shorter_label() -> None:
    assert metric_label(TARGET_VAL) == "target_val"
    assert metric_label("importance_weighted") == "importance_weighted"
