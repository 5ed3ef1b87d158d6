from __future__ import annotations

from collections.abc import Sequence

import pytest
from ray.tune.schedulers import (
    TrialScheduler,
)
from support.fake_search import FakeTrial, make_config, make_record, make_result, make_search

from adaptune.search.protocol import GroupResult, TrialResult
from adaptune.search.scheduler import StudyScheduler
from adaptune.spec.algorithms import Asha, Median, Scheduler
from adaptune.spec.schema import SearchSpec
from adaptune.study.objective import Objective
from adaptune.study.study import SearchStudy, create_study

STOP, CONTINUE = TrialScheduler.STOP, TrialScheduler.CONTINUE
ASHA = Asha(grace_epochs=1, reduction_factor=3)
MEDIAN = Median(name="median")


def fake_trial(number: int, trial_id: str | None = None) -> FakeTrial:
    return FakeTrial(trial_id or f"tune-{number}", make_config(number))


def started(scheduler: TrialScheduler, number: int, trial_id: str | None = None) -> FakeTrial:
    trial = fake_trial(number, trial_id)
    scheduler.on_trial_add(None, trial)
    return trial


def make_study(*curves: Sequence[float], spec: SearchSpec | None = None) -> SearchStudy:
    """A study with interrupted trials that have these curves."""
    study = create_study(spec or make_search())
    objective = Objective(study.metric)
    for curve in curves:
        trial = study.ask()
        for epoch, accuracy in enumerate(curve, start=1):
            record = make_record(epoch, accuracy)
            objective.observe(trial.number, record)
            study.add_epoch(trial, record, objective.value(record))
    return study


def finish_all(study: SearchStudy, epochs: int = 9) -> None:
    for trial in study.interrupted_trials():
        study.tell_result(trial, epochs=epochs, error=None, wall_s=None)


def scheduler_of(study: SearchStudy, options: Scheduler = ASHA, epochs: int = 9) -> StudyScheduler:
    return StudyScheduler(options, epochs, study, Objective(study.metric))


def report(scheduler: TrialScheduler, trial: FakeTrial, epoch: int, accuracy: float) -> str:
    result = make_result(epoch, accuracy, number=trial.group.leader)
    return str(scheduler.on_trial_result(None, trial, result))


def end(scheduler: TrialScheduler, trial: FakeTrial, result: TrialResult) -> None:
    """End a trial by its own result."""
    group_result = GroupResult({trial.group.leader: result}, done=True)
    scheduler.on_trial_complete(None, trial, group_result.to_tune())


def requeue(scheduler: TrialScheduler, trial: FakeTrial) -> None:
    result = GroupResult(requeue_reason="no room", done=True)
    scheduler.on_trial_complete(None, trial, result.to_tune())


def test_asha_stops_what_is_below_the_best_third_of_a_rung() -> None:
    scheduler = scheduler_of(make_study())
    trials = [started(scheduler, number) for number in range(5)]
    decisions = []
    # The cutoff is the 66.7th percentile of earlier values: 0.1, then 0.167, 0.233, and 0.25.
    for trial, accuracy in zip(trials, (0.1, 0.2, 0.3, 0.23, 0.26), strict=True):
        decisions.append(report(scheduler, trial, 1, accuracy))
    assert decisions == [CONTINUE, CONTINUE, CONTINUE, STOP, CONTINUE]


def test_the_loss_breaks_ties_at_a_rung() -> None:
    scheduler = scheduler_of(make_study())
    decisions = []
    for number, loss in enumerate((0.2, 0.3, 0.1)):
        trial = started(scheduler, number)
        result = TrialResult(make_record(1, 0.5, loss), 0.5)
        decisions.append(
            scheduler.on_trial_result(None, trial, GroupResult({number: result}).to_tune())
        )
    assert decisions == [CONTINUE, STOP, CONTINUE]


def test_asha_decides_at_rungs_only() -> None:
    scheduler = scheduler_of(make_study())
    good, bad = started(scheduler, 0), started(scheduler, 1)
    assert report(scheduler, bad, 1, 0.1) == CONTINUE  # the first one has nothing to beat
    for epoch in (1, 2, 3):
        assert report(scheduler, good, epoch, 0.9) == CONTINUE
    assert report(scheduler, bad, 2, 0.1) == CONTINUE
    assert report(scheduler, bad, 3, 0.1) == STOP


def test_the_median_rule_compares_with_running_means() -> None:
    scheduler = scheduler_of(make_study(), MEDIAN)
    for number, accuracy in enumerate((0.2, 0.4, 0.6)):
        trial = started(scheduler, number)
        for epoch in (1, 2):
            assert report(scheduler, trial, epoch, accuracy) == CONTINUE
    assert report(scheduler, started(scheduler, 3), 1, 0.41) == CONTINUE
    assert report(scheduler, started(scheduler, 4), 1, 0.39) == STOP


@pytest.mark.parametrize("name", ["asha", "hyperband", "median", "none"])
def test_a_failed_trial_leaves_the_scheduler_at_work(name: str) -> None:
    spec = make_search(search={"scheduler": {"name": name}})
    scheduler = scheduler_of(create_study(spec), spec.search.scheduler)
    failed = started(scheduler, 0)
    report(scheduler, failed, 1, 0.5)
    end(scheduler, failed, TrialResult(error="step 3: nan", done=True))
    for number in range(1, 6):
        trial = started(scheduler, number)
        assert report(scheduler, trial, 1, 0.6 + 0.05 * number) == CONTINUE


def test_trials_of_earlier_sessions_are_compared_with() -> None:
    study = make_study([0.5, 0.6])
    finish_all(study)
    scheduler = scheduler_of(study)
    assert report(scheduler, started(scheduler, 1), 1, 0.4) == STOP
    assert report(scheduler, started(scheduler, 2), 1, 0.6) == CONTINUE


def test_a_result_without_an_epoch_changes_nothing() -> None:
    scheduler = scheduler_of(make_study())
    trial = started(scheduler, 0)
    assert scheduler.on_trial_result(None, trial, GroupResult().to_tune()) == CONTINUE
    assert report(scheduler, trial, 1, 0.5) == CONTINUE


def test_a_rung_keeps_its_own_value_if_the_next_epoch_is_reported_first() -> None:
    """Killed between the checkpoint of epoch 2 and its report: epoch 1 decides at rung 1."""
    scheduler = scheduler_of(make_study([0.2]))
    resumed = started(scheduler, 0)
    assert report(scheduler, resumed, 2, 0.9) == CONTINUE
    assert report(scheduler, started(scheduler, 1), 1, 0.3) == CONTINUE  # 0.9 would stop it
    assert report(scheduler, started(scheduler, 2), 1, 0.1) == STOP


@pytest.mark.parametrize("ending", ["last epoch", "failure"])
def test_a_resumed_trial_whose_first_report_ends_it_is_compared_with(ending: str) -> None:
    scheduler = scheduler_of(make_study([0.5] * 8))
    resumed = started(scheduler, 0)
    result = TrialResult(make_record(9, 0.5), 0.5, done=True)
    if ending == "failure":
        result = TrialResult(error="CheckpointError: damaged", done=True)
    end(scheduler, resumed, result)
    assert report(scheduler, started(scheduler, 1), 1, 0.4) == STOP


def test_an_epoch_that_is_reported_again_is_not_decided_again() -> None:
    scheduler = scheduler_of(make_study(), MEDIAN)
    trial = started(scheduler, 0)
    assert report(scheduler, trial, 1, 0.2) == CONTINUE
    for number in (1, 2, 3):
        assert report(scheduler, started(scheduler, number), 1, 0.3) == CONTINUE
    assert report(scheduler, trial, 1, 0.2) == CONTINUE  # new workers, after a loss
    assert report(scheduler, trial, 2, 0.2) == CONTINUE  # nothing to compare with at epoch 2


def test_the_last_epoch_of_a_stopped_trial_counts_once() -> None:
    scheduler = scheduler_of(make_study(), Median(name="median", min_trials=1))
    first = started(scheduler, 0)
    report(scheduler, first, 1, 0.2)
    report(scheduler, first, 2, 0.8)
    scheduler.on_trial_complete(None, first, make_result(2, 0.8))  # as Tune does after a stop
    second = started(scheduler, 1)
    report(scheduler, second, 1, 0.5)
    assert report(scheduler, second, 2, 0.55) == CONTINUE  # the mean is 0.5; twice, it were 0.6


def test_a_restarted_process_keeps_the_epochs_of_its_trial() -> None:
    scheduler = scheduler_of(make_study())
    trial = started(scheduler, 0)
    for epoch, accuracy in ((1, 0.2), (2, 0.9)):
        report(scheduler, trial, epoch, accuracy)
    scheduler.on_trial_error(None, trial)
    scheduler.on_trial_add(None, trial)
    assert report(scheduler, trial, 2, 0.9) == CONTINUE
    other = started(scheduler, 1)
    requeue(scheduler, other)
    assert report(scheduler, started(scheduler, 2), 1, 0.3) == CONTINUE  # rung 1 has 0.2 still


def test_a_requeued_trial_is_not_compared_with_until_it_continues() -> None:
    scheduler = scheduler_of(make_study())
    requeued = started(scheduler, 0)
    report(scheduler, requeued, 1, 0.9)
    requeue(scheduler, requeued)
    assert report(scheduler, started(scheduler, 1), 1, 0.1) == CONTINUE
    again = started(scheduler, 0, trial_id="tune-again")
    assert report(scheduler, again, 2, 0.95) == CONTINUE
    assert report(scheduler, started(scheduler, 2), 1, 0.5) == STOP  # cutoff of 0.1 and 0.9: 0.63


def test_a_trial_that_is_requeued_twice_before_it_reports_keeps_its_epochs() -> None:
    scheduler = scheduler_of(make_study([0.9, 0.9]))
    for attempt in ("first", "second"):
        requeue(scheduler, started(scheduler, 0, trial_id=attempt))
    report(scheduler, started(scheduler, 0, trial_id="third"), 3, 0.9)
    assert report(scheduler, started(scheduler, 1), 1, 0.5) == STOP


def test_the_ensemble_ranks_past_epochs_among_those_of_now() -> None:
    study = make_study([0.5], spec=make_search(search={"metric": "ensemble"}))
    finish_all(study)
    scheduler = scheduler_of(study)
    # Alone, trial 0 had the rank 0.5. Trial 1 takes it down to 0.25, and trial 2 to 0.5 again.
    assert report(scheduler, started(scheduler, 1), 1, 0.6) == CONTINUE
    assert report(scheduler, started(scheduler, 2), 1, 0.4) == STOP
    # Among 0.4, 0.5, 0.6 and itself it has the rank 0.625; the cutoff of the others is 0.458.
    assert report(scheduler, started(scheduler, 3), 1, 0.55) == CONTINUE


def test_the_median_rule_replays_epochs_that_it_would_stop_today() -> None:
    study = make_study([0.9] * 3, [0.9] * 3, [0.9] * 3, [0.1, 0.1, 0.1])
    scheduler = scheduler_of(study, MEDIAN)
    trials = [started(scheduler, number) for number in range(4)]
    for trial in trials[:3]:
        assert report(scheduler, trial, 4, 0.9) == CONTINUE
    assert report(scheduler, trials[3], 4, 0.1) == STOP
