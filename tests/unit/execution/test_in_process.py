from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

import pytest
import torch
from support.tiny_trial import make_data, make_record, make_source_weights, make_spec

from adaptune.errors import CheckpointError, NonFiniteLossError
from adaptune.execution import in_process
from adaptune.execution.base import RunnerSettings
from adaptune.execution.in_process import InProcessRunner
from adaptune.execution.runtime import GroupJob, TrialJob, WorkerRuntime
from adaptune.spec.resources import WorkerResources
from adaptune.training.loop import Outcome
from adaptune.training.record import EpochRecord

SETTINGS = RunnerSettings("workers", WorkerResources(1, 3, 0.0), "/scratch")
FAILING = 4  # number of a trial


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of threads that torch was set to."""
    counts: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", counts.append)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return counts


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of the trial of each epoch; nothing is trained."""
    numbers: list[int] = []

    def outcomes(
        _: WorkerRuntime, job: GroupJob, stopped: Collection[int]
    ) -> Iterator[dict[int, Outcome]]:
        for epoch in (1, 2, 3):
            if job.number == FAILING:
                raise CheckpointError("damaged")
            numbers.append(job.number)
            yield {job.number: make_record(epoch, 0.5)}

    monkeypatch.setattr(WorkerRuntime, "outcomes", outcomes)
    return numbers


def epoch_of(outcome: Outcome) -> int:
    assert isinstance(outcome, EpochRecord)
    return outcome.epoch


@pytest.fixture
def runner(threads: list[int]) -> InProcessRunner:
    return InProcessRunner(SETTINGS, make_data(), make_source_weights(make_spec()))


def test_a_runner_gives_torch_the_cpus_of_its_worker(
    runner: InProcessRunner, threads: list[int]
) -> None:
    assert threads == [3]


def test_a_runner_trains_epoch_by_epoch_until_the_trial_ends(
    runner: InProcessRunner, job: GroupJob
) -> None:
    runner.begin(job)
    epochs = []
    while (outcomes := runner.next_outcomes(())) is not None:
        epochs.append(epoch_of(outcomes[3]))
        # Not one epoch ahead of the decisions.
        assert job.trials[0].checkpoints.epochs() == epochs
    assert epochs == [1, 2]


def test_a_trial_of_a_group_that_is_stopped_trains_no_epoch_more(
    runner: InProcessRunner, group: GroupJob
) -> None:
    runner.begin(group)
    assert set(runner.next_outcomes(()) or ()) == {3, 5, 6}
    assert set(runner.next_outcomes({3}) or ()) == {5, 6}
    assert set(runner.next_outcomes({3, 6}) or ()) == {5}
    assert runner.next_outcomes({3, 5, 6}) is None


def test_trials_that_were_stopped_in_one_group_train_in_another(
    runner: InProcessRunner, group: GroupJob
) -> None:
    runner.begin(group)
    runner.next_outcomes({3})
    runner.stop()
    runner.begin(group)
    assert set(runner.next_outcomes(()) or ()) == {3, 5, 6}


def test_a_trial_of_a_group_that_fails_does_not_end_the_group(
    runner: InProcessRunner, group: GroupJob
) -> None:
    overflowing = make_spec(epochs=4, steps_per_epoch=1, loss_weights={"task": 1e39})
    first, second, third = group.trials
    runner.begin(GroupJob((replace(first, spec=overflowing), second, third)))
    outcomes = runner.next_outcomes(()) or {}
    assert isinstance(outcomes.pop(3), NonFiniteLossError)
    epochs = []
    while outcomes:
        assert set(outcomes) == {5, 6}
        epochs.append(epoch_of(outcomes[6]))
        outcomes = runner.next_outcomes({3}) or {}
    assert epochs == [1, 2, 3, 4]


def test_a_stopped_trial_trains_no_more_and_the_next_one_begins(
    runner: InProcessRunner, job: GroupJob, trial: TrialJob, trained: list[int]
) -> None:
    runner.begin(job)
    runner.next_outcomes(())
    runner.stop()
    assert runner.next_outcomes(()) is None
    runner.begin(GroupJob((replace(trial, number=7),)))
    runner.next_outcomes(())
    assert trained == [3, 7]


def test_a_failed_trial_raises_its_error_and_the_next_one_begins(
    runner: InProcessRunner, job: GroupJob, next_job: GroupJob, trained: list[int]
) -> None:
    assert next_job.number == FAILING
    runner.begin(next_job)
    with pytest.raises(CheckpointError):
        runner.next_outcomes(())
    runner.begin(job)
    assert runner.next_outcomes(()) is not None
    assert trained == [3]


@pytest.mark.parametrize("method", ["stop", "close"])
def test_the_memory_of_a_trial_is_released_at_its_end(
    method: str, runner: InProcessRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    released: list[WorkerRuntime] = []

    def release_memory(runtime: WorkerRuntime) -> None:
        released.append(runtime)

    monkeypatch.setattr(WorkerRuntime, "release_memory", release_memory)
    getattr(runner, method)()
    assert len(released) == 1


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(("available", "device"), [(True, "cuda"), (False, "cpu")])
def test_a_runner_trains_on_a_gpu_if_there_is_one(
    available: bool, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    monkeypatch.setattr(
        in_process, "WorkerRuntime", lambda data, weights, device, share: devices.append(device)
    )
    InProcessRunner(SETTINGS, make_data(), {})
    assert devices == [torch.device(device)]
