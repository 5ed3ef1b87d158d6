from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from support.fake_search import make_record
from support.fake_workers import RESOURCES, Start, make_config
from support.scripted_runner import Step

from adaptune.errors import (
    CheckpointError,
    NonFiniteLossError,
    TrialCrashedError,
    WorkersLostError,
    WorkersNotStartedError,
)
from adaptune.execution.recovery import MAX_WORKER_GROUPS_PER_JOB
from adaptune.search.protocol import GroupResult, TrialResult
from adaptune.training.record import HealthReport

UNHEALTHY = HealthReport(1.0, 1.0, 0.0, 1.0, "", unhealthy="collapse: 0.1")


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Start:
    return Start(monkeypatch)


def ended(number: int = 0, **result: Any) -> GroupResult:
    """The result of a group of one trial that has ended."""
    return GroupResult({number: TrialResult(**result, done=True)}, done=True)


def test_a_step_is_an_epoch_and_the_last_one_ends_the_trial(start: Start) -> None:
    trial = start([make_record(1, 0.5), make_record(2, 0.75)], training={"epochs": 2})
    assert trial.step() == GroupResult({0: TrialResult(make_record(1, 0.5), 0.5)})
    assert trial.step() == ended(record=make_record(2, 0.75), objective=0.75)
    [runner] = trial.workers.opened
    assert runner.calls == ["begin 0"]


def test_workers_start_with_the_first_step(start: Start) -> None:
    trial = start([make_record(1, 0.5)])
    assert trial.workers.opened == []
    trial.step()
    [runner] = trial.workers.opened
    assert trial.workers.executions == ["ray_train"]
    assert runner.settings is not None
    assert runner.settings.resources is RESOURCES
    assert runner.settings.scratch == "/results/fake/.ray/train"
    assert runner.settings.name.startswith("fake-runner-")
    assert runner.settings.name.endswith("-abcdef-0")


def test_the_dashboard_names_an_actor_by_its_search(start: Start) -> None:
    assert repr(start([None]).trainable) == "fake runner"


def test_a_trial_that_has_no_more_epochs_ends(start: Start) -> None:
    assert start([None]).step() == GroupResult(done=True)


@pytest.mark.parametrize("metric", ["target_val_accuracy", "infomax"])
def test_the_objective_of_an_epoch_is_its_metric(start: Start, metric: str) -> None:
    trial = start([make_record(1, 0.5, validators={"infomax": 0.25})], search={"metric": metric})
    objective = trial.step().trials[0].objective
    assert objective == {"target_val_accuracy": 0.5, "infomax": 0.25}[metric]


@pytest.mark.parametrize(("health", "done"), [("off", False), ("warn", False), ("stop", True)])
def test_an_unhealthy_trial_ends_if_the_search_says_so(
    start: Start, health: str, done: bool
) -> None:
    trial = start([make_record(1, 0.5, health=UNHEALTHY)], search={"health": health})
    assert trial.step().done == done


def test_a_healthy_trial_continues(start: Start) -> None:
    healthy = HealthReport(1.0, 1.0, 0.0, 1.0, "", symptom="collapse: 0.1")
    trial = start([make_record(1, 0.5, health=healthy)], search={"health": "stop"})
    assert not trial.step().done


@pytest.mark.parametrize(
    "error", [NonFiniteLossError("step 7: the cycle term is nan"), CheckpointError("damaged")]
)
def test_a_failed_trial_is_a_result_and_its_workers_train_the_next_one(
    start: Start, error: Exception
) -> None:
    trial = start([error, make_record(1, 0.5)])
    assert trial.step() == ended(error=f"{type(error).__name__}: {error}")
    assert trial.trainable.reset_config(make_config(1))
    assert trial.step().records() == {1: make_record(1, 0.5)}
    [runner] = trial.workers.opened
    assert runner.calls == ["begin 0", "stop", "begin 1"]


CRASH = TrialCrashedError("OutOfMemoryError: CUDA out of memory")


def test_a_crash_ends_the_trial_at_once_and_the_next_one_has_new_workers(start: Start) -> None:
    trial = start([CRASH], [make_record(1, 0.5)])
    assert trial.step() == ended(error=str(CRASH))
    trial.trainable.reset_config(make_config(1))
    assert trial.step().records() == {1: make_record(1, 0.5)}
    assert [runner.calls for runner in trial.workers.opened] == [["begin 0", "close"], ["begin 1"]]


def test_a_process_that_crashed_itself_trains_no_other_trial(start: Start) -> None:
    trial = start([CRASH], [make_record(1, 0.5)], execution="in_process")
    assert trial.step() == ended(error=str(CRASH))
    assert trial.trainable.reset_config(make_config(1))
    with pytest.raises(RuntimeError, match="unfit for another trial"):
        trial.step()  # Tune starts another process for trial 1
    assert len(trial.workers.opened) == 1


def test_a_runner_that_cannot_be_closed_fails_no_trial(start: Start) -> None:
    trial = start([make_record(1, 0.5)], resources={"reuse_workers": False})
    trial.step()
    trial.workers.opened[0].close_error = RuntimeError("the workers did not end within 30 s")
    assert trial.trainable.reset_config(make_config(1))
    with pytest.raises(RuntimeError, match="did not end within 30 s"):
        trial.step()  # Tune starts another process for trial 1


@pytest.mark.parametrize(
    ("death", "death_epoch", "ends"),
    [
        ("RuntimeError: cuDNN failed", 1, True),
        ("RuntimeError: cuDNN failed", 0, False),  # this process has trained an epoch more
        ("RuntimeError: another", 1, False),
        ("", 0, False),
    ],
)
def test_a_second_death_of_the_same_cause_at_the_same_epoch_ends_the_trial(
    start: Start, death: str, death_epoch: int, ends: bool
) -> None:
    steps: list[Step] = [make_record(1, 0.5), RuntimeError("cuDNN failed")]
    trial = start(steps, config=make_config(0, death=death, death_epoch=death_epoch))
    trial.step()
    if ends:
        assert trial.step() == ended(error=death)
    else:
        with pytest.raises(RuntimeError, match="cuDNN failed"):
            trial.step()


def test_an_unexpected_error_is_raised(start: Start) -> None:
    with pytest.raises(KeyError):
        start([KeyError("a bug")]).step()


def test_after_a_loss_new_workers_continue_the_trial(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    trial = start([make_record(1, 0.5), WorkersLostError("node lost")], [make_record(2, 0.75)])
    trial.step()
    assert trial.step().records() == {0: make_record(2, 0.75)}
    lost, new = trial.workers.opened
    assert lost.calls == ["begin 0", "close"]
    assert new.calls == ["begin 0"]
    assert new.settings.name.endswith("-1")
    assert "trial 0 lost its workers: node lost" in caplog.text


def test_a_trial_that_loses_too_many_worker_groups_fails(start: Start) -> None:
    losses: list[list[Step]] = []
    for number in range(MAX_WORKER_GROUPS_PER_JOB):
        losses.append([WorkersLostError(f"loss {number}")])
    trial = start(*losses, [make_record(1, 0.5)])
    assert trial.step() == ended(error="WorkersLostError: loss 2")
    assert [runner.calls for runner in trial.workers.opened] == [["begin 0", "close"]] * 3
    trial.trainable.reset_config(make_config(1))  # the losses of the next trial are counted from 0
    assert trial.step().records() == {1: make_record(1, 0.5)}


def test_workers_that_do_not_start_requeue_the_trial(start: Start) -> None:
    trial = start([WorkersNotStartedError("no room")], [make_record(1, 0.5)])
    assert trial.step() == GroupResult(requeue_reason="no room", done=True)
    assert trial.workers.opened[0].calls == ["begin 0", "close"]
    trial.trainable.reset_config(make_config(1))
    trial.step()
    assert trial.workers.opened[1].calls == ["begin 1"]


def test_an_actor_that_ends_shuts_its_workers_down(start: Start) -> None:
    trial = start([make_record(1, 0.5)])
    trial.trainable.cleanup()  # no workers have started
    trial.step()
    [runner] = trial.workers.opened
    runner.stop_error = WorkersLostError("node lost")
    trial.trainable.cleanup()
    assert runner.calls == ["begin 0", "stop", "close"]


def group_of(start: Start, *steps: Step, numbers: Sequence[int] = (0, 1, 2), **config: Any) -> Any:
    options = {"training": {"epochs": 3}}
    return start(list(steps), config=make_config(*numbers, **config), **options)


def test_a_group_trains_until_its_last_trial_has_ended(start: Start) -> None:
    record = make_record(1, 0.5)
    failed = NonFiniteLossError("step 7: nan")
    trial = group_of(start, {0: record, 1: failed, 2: record}, {2: make_record(2, 0.5)})
    result = trial.step()
    assert not result.done
    assert result.trials[1] == TrialResult(error="NonFiniteLossError: step 7: nan", done=True)
    trial.trainable.stop_trials([0])
    assert not trial.step().done
    [runner] = trial.workers.opened
    assert runner.calls == ["begin 0, 1, 2"]
    assert runner.stopped[-1] == {0, 1}


def test_a_group_is_done_with_the_last_epoch_of_its_trials(start: Start) -> None:
    trial = group_of(start, {0: make_record(3, 0.5), 2: make_record(3, 0.5)}, ended={1})
    result = trial.step()
    assert result.done
    assert all(of_trial.done for of_trial in result.trials.values())


def test_a_new_process_begins_the_trials_that_have_not_ended(start: Start) -> None:
    trial = group_of(start, {0: make_record(2, 0.5), 2: make_record(2, 0.5)}, ended={1})
    assert not trial.step().done
    [runner] = trial.workers.opened
    assert runner.calls == ["begin 0, 2"]
    assert len({job.spec.seed for job in runner.job.trials}) == 1


def test_a_crash_ends_all_trials_that_run(start: Start) -> None:
    trial = group_of(start, {0: make_record(1, 0.5), 1: make_record(1, 0.5)}, CRASH, ended={2})
    trial.step()
    trial.trainable.stop_trials([0])
    assert trial.step().trials == {1: TrialResult(error=str(CRASH), done=True)}
