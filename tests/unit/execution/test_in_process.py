from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from support.fake_search import make_record
from support.tiny_trial import make_data, make_source_weights, make_spec

from adaptune.errors import NonFiniteLossError
from adaptune.execution import in_process
from adaptune.execution.base import RunnerSettings
from adaptune.execution.in_process import InProcessRunner
from adaptune.execution.runtime import TrialJob, WorkerRuntime
from adaptune.spec.resources import WorkerResources
from adaptune.training.record import EpochRecord

SETTINGS = RunnerSettings("workers", WorkerResources(1, 3, 0.0), "/scratch")
FAILING = 99  # number of a trial


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

    def records(_: WorkerRuntime, job: TrialJob) -> Iterator[EpochRecord]:
        for epoch in (1, 2, 3):
            if job.number == FAILING:
                raise NonFiniteLossError("step 3")
            numbers.append(job.number)
            yield make_record(epoch, 0.5)

    monkeypatch.setattr(WorkerRuntime, "records", records)
    return numbers


@pytest.fixture
def runner(threads: list[int]) -> InProcessRunner:
    return InProcessRunner(SETTINGS, make_data(), make_source_weights(make_spec()))


def test_a_runner_gives_torch_the_cpus_of_its_worker(
    runner: InProcessRunner, threads: list[int]
) -> None:
    assert threads == [3]


def test_a_runner_trains_epoch_by_epoch_until_the_trial_ends(
    runner: InProcessRunner, job: TrialJob
) -> None:
    runner.begin(job)
    epochs = []
    while (record := runner.next_record()) is not None:
        epochs.append(record.epoch)
        assert job.checkpoints.epochs() == epochs  # not one epoch ahead of the decisions
    assert epochs == [1, 2]


def test_a_stopped_trial_trains_no_more_and_the_next_one_begins(
    runner: InProcessRunner, job: TrialJob, trained: list[int]
) -> None:
    runner.begin(job)
    runner.next_record()
    runner.stop()
    assert runner.next_record() is None
    runner.begin(replace(job, number=4))
    runner.next_record()
    assert trained == [3, 4]


def test_a_failed_trial_raises_its_error_and_the_next_one_begins(
    runner: InProcessRunner, job: TrialJob, trained: list[int]
) -> None:
    runner.begin(replace(job, number=FAILING))
    with pytest.raises(NonFiniteLossError):
        runner.next_record()
    runner.begin(job)
    assert runner.next_record() is not None
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
