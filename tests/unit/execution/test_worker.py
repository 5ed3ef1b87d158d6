from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from support.fake_actor import FakeActor
from support.tiny_trial import CPU, make_data, make_record

from adaptune.errors import (
    CheckpointError,
    PreemptedError,
    TrialCrashedError,
)
from adaptune.execution import worker
from adaptune.execution.base import SharedRefs
from adaptune.execution.coordinator import Decision, WorkerMessage
from adaptune.execution.runtime import GroupJob
from adaptune.execution.worker import Worker, WorkerConfig
from adaptune.training.loop import Outcome

RECORDS = [make_record(epoch, 0.5) for epoch in (1, 2, 3)]
IsPreempted = Callable[[], bool] | None


@dataclass
class Coordinator:
    """A coordinator whose jobs and decisions are there from the start."""

    jobs: list[GroupJob | None]
    decisions: list[Decision] = field(default_factory=lambda: [()] * 100)
    messages: list[WorkerMessage] = field(default_factory=list)
    requested_jobs: list[int] = field(default_factory=list)
    requested_decisions: list[int] = field(default_factory=list)

    def job(self, index: int) -> GroupJob | None:
        self.requested_jobs.append(index)
        return self.jobs[index]

    def decision(self, index: int) -> Decision:
        self.requested_decisions.append(index)
        return self.decisions[index]

    def post(self, message: WorkerMessage) -> None:
        self.messages.append(message)


@dataclass
class Runtime:
    """A runtime whose trials all yield the same records, and then raise `error` if there is one."""

    error: Exception | None = None
    closed: int = 0
    released: int = 0
    is_preempted: IsPreempted = None

    def outcomes(
        self, job: GroupJob, stopped: Collection[int], is_preempted: IsPreempted
    ) -> Iterator[dict[int, Outcome]]:
        self.is_preempted = is_preempted
        try:
            for record in RECORDS:
                yield {trial.number: record for trial in job.without(stopped).trials}
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


def outcomes_in(coordinator: Coordinator) -> list[Mapping[int, Outcome]]:
    messages = coordinator.messages
    return [message.outcomes for message in messages if message.outcomes is not None]


def test_a_worker_trains_one_trial_after_another_until_it_is_shut_down(
    job: GroupJob, next_job: GroupJob
) -> None:
    coordinator, runtime = Coordinator([job, next_job, None]), Runtime()
    run(coordinator, runtime)
    assert coordinator.requested_jobs == [0, 1, 2]
    expected = []
    for number in (3, 4):
        expected += [WorkerMessage({number: record}) for record in RECORDS]
        expected.append(WorkerMessage())
    assert coordinator.messages == expected
    assert runtime.released == 2


def test_decisions_are_counted_over_all_trials(job: GroupJob) -> None:
    coordinator = Coordinator([job, job, None])
    run(coordinator, Runtime())
    assert coordinator.requested_decisions == list(range(6))


def test_a_trial_that_is_stopped_trains_no_more(job: GroupJob) -> None:
    decisions: list[Decision] = [(), None, (), (), ()]
    coordinator, runtime = Coordinator([job, job, None], decisions), Runtime()
    run(coordinator, runtime)
    assert outcomes_in(coordinator) == [{3: record} for record in [*RECORDS[:2], *RECORDS]]
    assert runtime.closed == 2
    assert coordinator.messages[2] == WorkerMessage()  # the end of the first trial


@pytest.mark.parametrize("is_leader", [True, False])
def test_stopped_trials_are_passed_on_before_the_next_epoch(
    group: GroupJob, is_leader: bool
) -> None:
    decisions: list[Decision] = [(6,), (3,), ()]
    trained: list[set[int]] = []

    class RememberingRuntime(Runtime):
        def outcomes(
            self, job: GroupJob, stopped: Collection[int], is_preempted: IsPreempted
        ) -> Iterator[dict[int, Outcome]]:
            for outcomes in super().outcomes(job, stopped, is_preempted):
                trained.append(set(outcomes))
                yield outcomes

    coordinator = Coordinator([group, None], decisions)
    run(coordinator, RememberingRuntime(), is_leader=is_leader)
    assert trained == [{3, 5, 6}, {3, 5}, {5}]
    posted = [set(outcomes) for outcomes in outcomes_in(coordinator)]
    assert posted == (trained if is_leader else [])


def test_trials_that_were_stopped_in_one_group_train_in_the_next_one(group: GroupJob) -> None:
    decisions: list[Decision] = [(3, 5), (), (), (), (), ()]
    coordinator = Coordinator([group, group, None], decisions)
    run(coordinator, Runtime())
    numbers = [set(outcomes) for outcomes in outcomes_in(coordinator)]
    assert numbers == [{3, 5, 6}, {6}, {6}, *[{3, 5, 6}] * 3]


def test_the_error_of_a_trial_is_posted_and_the_next_trial_begins(job: GroupJob) -> None:
    error = CheckpointError("damaged")
    coordinator, runtime = Coordinator([job, job, None]), Runtime(error=error)
    run(coordinator, runtime)
    assert coordinator.messages[3] == WorkerMessage(error=error)
    assert coordinator.messages[7] == WorkerMessage(error=error)
    assert runtime.released == 2


def test_a_worker_whose_node_leaves_returns_at_once(job: GroupJob) -> None:
    error = PreemptedError("preempted at update 7")
    coordinator, runtime = Coordinator([job, job, None]), Runtime(error=error)
    run(coordinator, runtime)
    assert coordinator.requested_jobs == [0]
    assert coordinator.messages[-1] == WorkerMessage(error=error)


def test_an_unexpected_error_ends_the_worker(job: GroupJob) -> None:
    with pytest.raises(ZeroDivisionError):
        run(Coordinator([job, None]), Runtime(error=ZeroDivisionError()))


@pytest.mark.parametrize("is_leader", [True, False])
def test_a_crash_is_posted_by_the_worker_that_met_it_and_ends_the_worker(
    job: GroupJob, is_leader: bool
) -> None:
    crash = TrialCrashedError("ValueError: bad")
    coordinator = Coordinator([job, job, None])
    with pytest.raises(TrialCrashedError, match="bad"):
        run(coordinator, Runtime(error=crash), is_leader=is_leader)
    assert coordinator.messages[-1] == WorkerMessage(error=crash)
    assert coordinator.requested_jobs == [0]


def test_workers_other_than_the_leader_train_and_decide_but_do_not_post(job: GroupJob) -> None:
    coordinator, runtime = Coordinator([job, None]), Runtime()
    run(coordinator, runtime, is_leader=False)
    assert coordinator.requested_decisions == [0, 1, 2]
    assert runtime.closed == 1
    assert coordinator.messages == []


@pytest.mark.parametrize(("information", "leaving"), [(None, False), (object(), True)])
def test_a_trial_asks_ray_whether_its_node_leaves(
    information: object, leaving: bool, job: GroupJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "PREEMPTION_WATCHED", True)
    monkeypatch.setattr(worker, "get_preemption_info", lambda: information)
    runtime = Runtime()
    run(Coordinator([job, None]), runtime)
    assert runtime.is_preempted is not None
    assert runtime.is_preempted() is leaving


def test_a_trial_on_a_single_machine_asks_nothing(
    job: GroupJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "PREEMPTION_WATCHED", False)
    runtime = Runtime()
    run(Coordinator([job, None]), runtime)
    assert runtime.is_preempted is None


@pytest.mark.parametrize(("rank", "posts"), [(0, 4), (1, 0)])
def test_the_training_function_runs_a_worker_with_its_data_threads_and_rank(
    rank: int, posts: int, job: GroupJob, monkeypatch: pytest.MonkeyPatch
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
