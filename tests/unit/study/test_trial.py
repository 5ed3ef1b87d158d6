from __future__ import annotations

import math
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from support.fake_search import make_record, make_search

from adaptune.study.trial import StudyEpoch, StudyTrial, epochs_of, store_epoch
from adaptune.training.record import TARGET_VAL, EpochRecord

SPACE = make_search().space


def trial_of(
    *records: EpochRecord,
    metric: str = TARGET_VAL,
    state: TrialState = TrialState.PRUNED,
    **attributes: Any,
) -> StudyTrial:
    """A stopped trial with these epochs, stored in this order."""
    study = optuna.create_study(direction="maximize")
    trial = study.ask()
    trial.suggest_float("loss_weights.cycle", 3.0, 3.0)
    for record in records:
        store_epoch(trial, StudyEpoch(record, record.epoch / 10))
    for name, value in attributes.items():
        trial.set_user_attr(name, value)
    study.tell(trial, state=state)
    return StudyTrial(study.trials[0], metric, SPACE)


def test_a_stored_epoch_is_read_with_its_record_and_its_objective() -> None:
    record = make_record(2, 0.75, losses={"cycle": 0.5})
    trial = trial_of(record)
    assert trial.epochs == [StudyEpoch(record, 0.2)]
    assert trial.epochs[0].number == 2


def test_an_epoch_that_is_stored_already_is_kept() -> None:
    trial = optuna.create_study().ask()
    assert store_epoch(trial, StudyEpoch(make_record(1, 0.5), 0.5))
    assert not store_epoch(trial, StudyEpoch(make_record(1, 0.9), 0.9))
    assert [epoch.objective for epoch in epochs_of(trial)] == [0.5]


def test_epochs_are_in_order_after_the_tenth_too() -> None:
    trial = trial_of(*(make_record(epoch, 0.5) for epoch in (10, 2, 1, 9)))
    assert [epoch.number for epoch in trial.epochs] == [1, 2, 9, 10]
    assert trial.curve == {1: 0.1, 2: 0.2, 9: 0.9, 10: 1.0}
    assert trial.last_epoch == 10


def test_accuracy_and_then_loss_decide_on_the_best_epoch() -> None:
    assert trial_of(make_record(1, 0.5), make_record(2, 0.6)).best_epoch == StudyEpoch(
        make_record(2, 0.6), 0.2
    )
    trial = trial_of(make_record(1, 0.5, loss=1.0), make_record(2, 0.5, loss=2.0))
    assert trial.best_epoch == StudyEpoch(make_record(1, 0.5, loss=1.0), 0.1)
    assert trial.best_value == 0.1


def test_an_epoch_whose_metric_cannot_be_computed_is_never_the_best() -> None:
    records = [make_record(1, 0.5), make_record(2, 0.4)]
    records[0].validators["dev"] = math.nan
    records[1].validators["dev"] = -3.0
    assert trial_of(*records, metric="dev").best_epoch == StudyEpoch(records[1], 0.2)


def test_an_error_that_was_noted_before_a_kill_is_not_that_of_a_trial_that_then_completed() -> None:
    error = "step 3: the cycle term is nan"
    assert trial_of(make_record(1, 0.5), error=error).error is None
    assert trial_of(make_record(1, 0.5), state=TrialState.FAIL, error=error).error == error


@pytest.mark.parametrize(("metric", "best"), [("infomax", 1), ("ensemble", 2)])
def test_a_validator_chooses_its_highest_score_and_the_ensemble_the_last_epoch(
    metric: str, best: int
) -> None:
    trial = trial_of(make_record(1, 0.9), make_record(2, 0.1), metric=metric)
    assert trial.best_epoch is not None
    assert trial.best_epoch.number == best


def test_a_trial_without_epochs_has_no_best_one() -> None:
    trial = trial_of()
    assert trial.epochs == []
    assert trial.curve == {}
    assert trial.last_epoch == 0
    assert trial.best_epoch is None
    assert trial.best_value is None
    assert trial.active_s == 0.0


def test_a_trial_knows_its_values_and_times() -> None:
    trial = trial_of(make_record(1, 0.5), make_record(2, 0.5), wall_s=7.5)
    assert trial.number == 0
    assert trial.state == TrialState.PRUNED
    assert trial.values == {"loss_weights.cycle": 3.0}
    assert trial.active_s == 5.0  # 2.0 of training and 0.5 of evaluation per epoch
    assert trial.wall_s == 7.5


def test_a_trial_knows_its_group_and_is_its_own_one_without_the_attribute() -> None:
    alone = trial_of()
    assert (alone.leader, alone.group_size) == (0, 1)
    member = trial_of(group={"leader": 4, "size": 3})
    assert (member.leader, member.group_size) == (4, 3)


def test_attributes_that_a_trial_lacks_are_none() -> None:
    trial = trial_of()
    assert trial.wall_s is None
    assert trial.error is None
    assert trial.unhealthy is None


def test_the_error_and_the_symptom_of_a_trial_are_read() -> None:
    trial = trial_of(state=TrialState.FAIL, error="step 3: nan", unhealthy="collapse: 0.1")
    assert trial.error == "step 3: nan"
    assert trial.unhealthy == "collapse: 0.1"
