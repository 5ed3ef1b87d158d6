from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from support.fake_actor import FakeActor
from support.fake_search import make_record
from support.tiny_trial import CPU, make_data

from adaptune.errors import (
    AdaptuneError,
    CheckpointError,
    NonFiniteLossError,
    PreemptedError,
    TrialCrashedError,
)
from adaptune.execution import worker
from adaptune.execution.base import SharedRefs
from adaptune.execution.coordinator import WorkerMessage
from adaptune.execution.runtime import TrialJob
from adaptune.execution.worker import Worker, WorkerConfig
from adaptune.training.record import EpochRecord

RECORDS = [make_record(epoch, 0.5) for epoch in (1, 2, 3)]
IsPreempted = Callable[[], bool] | None


@dataclass
class Coordinator:
    """A coordinator whose jobs and decisions are there from the start."""

    jobs: list[TrialJob | None]
    decisions: list[bool] = field(default_factory=lambda: [True] * 100)
    messages: list[WorkerMessage] = field(default_factory=list)
    requested_jobs: list[int] = field(default_factory=list)
    requested_decisions: list[int] = field(default_factory=list)

    def job(self, index: int) -> TrialJob | None:
        self.requested_jobs.append(index)
        return self.jobs[index]

    def decision(self, index: int) -> bool:
        self.requested_decisions.append(index)
        return self.decisions[index]

    def post(self, message: WorkerMessage) -> None:
        self.messages.append(message)


@dataclass
class Runtime:
    """A runtime whose trials all yield the same records, and then raise `error` if there is one."""

    trained: list[EpochRecord] = field(default_factory=lambda: RECORDS)
    error: Exception | None = None
    closed: int = 0
    released: int = 0
    is_preempted: IsPreempted = None

    def records(self, job: TrialJob, is_preempted: IsPreempted) -> Iterator[EpochRecord]:
        self.is_preempted = is_preempted
        try:
            yield from self.trained
            if self.error is not None:
                raise self.error
        finally:
            self.closed += 1

    def release_memory(self) -> None:
        self.released += 1


@pytest.fixture(autouse=True)
def ray_get(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker.ray, "get", lambda value: value)


def run(coordinator: Coordinator, runtime: Any, *, is_leader: bool = True) -> None:
    Worker(FakeActor(coordinator), runtime, is_leader=is_leader).run()


def records_of(coordinator: Coordinator) -> list[EpochRecord]:
    return [message.record for message in coordinator.messages if message.record is not None]


def test_a_worker_trains_one_trial_after_another_until_it_is_shut_down(job: TrialJob) -> None:
    coordinator, runtime = Coordinator([job, replace(job, number=4), None]), Runtime()
    run(coordinator, runtime)
    assert coordinator.requested_jobs == [0, 1, 2]
    trial = [*(WorkerMessage(record=record) for record in RECORDS), WorkerMessage()]
    assert coordinator.messages == trial * 2
    assert runtime.released == 2


def test_decisions_are_counted_over_all_trials(job: TrialJob) -> None:
    coordinator = Coordinator([job, job, None])
    run(coordinator, Runtime())
    assert coordinator.requested_decisions == list(range(6))


def test_a_trial_that_is_stopped_trains_no_more(job: TrialJob) -> None:
    decisions = [True, False, True, True, True]
    coordinator, runtime = Coordinator([job, job, None], decisions), Runtime()
    run(coordinator, runtime)
    assert records_of(coordinator) == [*RECORDS[:2], *RECORDS]
    assert runtime.closed == 2
    assert coordinator.messages[2] == WorkerMessage()  # the end of the first trial


@pytest.mark.parametrize("error", [NonFiniteLossError("step 3"), CheckpointError("damaged")])
def test_the_error_of_a_trial_is_posted_and_the_next_trial_begins(
    error: AdaptuneError, job: TrialJob
) -> None:
    coordinator, runtime = Coordinator([job, job, None]), Runtime(error=error)
    run(coordinator, runtime)
    assert coordinator.messages[3] == WorkerMessage(error=error)
    assert coordinator.messages[7] == WorkerMessage(error=error)
    assert runtime.released == 2


def test_a_worker_whose_node_leaves_returns_at_once(job: TrialJob) -> None:
    error = PreemptedError("preempted at update 7")
    coordinator, runtime = Coordinator([job, job, None]), Runtime(error=error)
    run(coordinator, runtime)
    assert coordinator.requested_jobs == [0]
    assert coordinator.messages[-1] == WorkerMessage(error=error)


def test_an_unexpected_error_ends_the_worker(job: TrialJob) -> None:
    with pytest.raises(ZeroDivisionError):
        run(Coordinator([job, None]), Runtime(error=ZeroDivisionError()))


@pytest.mark.parametrize("is_leader", [True, False])
def test_a_crash_is_posted_by_the_worker_that_met_it_and_ends_the_worker(
    job: TrialJob, is_leader: bool
) -> None:
    crash = TrialCrashedError("ValueError: bad")
    coordinator = Coordinator([job, job, None])
    with pytest.raises(TrialCrashedError, match="bad"):
        run(coordinator, Runtime(error=crash), is_leader=is_leader)
    assert coordinator.messages[-1] == WorkerMessage(error=crash)
    assert coordinator.requested_jobs == [0]


def test_workers_other_than_the_leader_train_and_decide_but_do_not_post(job: TrialJob) -> None:
    coordinator, runtime = Coordinator([job, None]), Runtime()
    run(coordinator, runtime, is_leader=False)
    assert coordinator.requested_decisions == [0, 1, 2]
    assert runtime.closed == 1
    assert coordinator.messages == []


@pytest.mark.parametrize(("information", "leaving"), [(None, False), (object(), True)])
def test_a_trial_asks_ray_whether_its_node_leaves(
    information: object, leaving: bool, job: TrialJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "PREEMPTION_WATCHED", True)
    monkeypatch.setattr(worker, "get_preemption_info", lambda: information)
    runtime = Runtime()
    run(Coordinator([job, None]), runtime)
    assert runtime.is_preempted is not None
    assert runtime.is_preempted() is leaving


def test_a_trial_on_a_single_machine_asks_nothing(
    job: TrialJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "PREEMPTION_WATCHED", False)
    runtime = Runtime()
    run(Coordinator([job, None]), runtime)
    assert runtime.is_preempted is None


@pytest.mark.parametrize(("rank", "posts"), [(0, 4), (1, 0)])
def test_the_training_function_runs_a_worker_with_its_data_threads_and_rank(
    rank: int, posts: int, job: TrialJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, threads, runtimes = make_data(), list[int](), list[tuple[Any, ...]]()

    def worker_runtime(*arguments: Any) -> Runtime:
        runtimes.append(arguments)
        return Runtime()

    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    monkeypatch.setattr(worker, "get_device", lambda: CPU)
    context = SimpleNamespace(get_world_rank=lambda: rank)
    monkeypatch.setattr(worker, "get_context", lambda: context)
    monkeypatch.setattr(worker, "WorkerRuntime", worker_runtime)
    coordinator = Coordinator([job, None])
    shared = SharedRefs(data, {})  # stands for itself, as ray.get does here
    config = WorkerConfig(FakeActor(coordinator), shared, threads=3, device_share=0.5)
    worker.work({"worker": config})
    assert threads == [3]
    assert runtimes == [(data, {}, CPU, 0.5)]
    assert len(coordinator.messages) == posts
