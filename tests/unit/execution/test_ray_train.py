from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import RayActorError
from support.fake_actor import FakeActor
from support.tiny_trial import make_record

from adaptune.errors import CheckpointError, WorkersLostError, WorkersNotStartedError
from adaptune.execution import ray_train
from adaptune.execution.base import RunnerSettings, SharedRefs
from adaptune.execution.coordinator import Decision, WorkerMessage
from adaptune.execution.ray_train import RayTrainRunner, make_trainer, scaling_config
from adaptune.execution.runtime import GroupJob
from adaptune.execution.worker import WorkerConfig, work
from adaptune.spec.resources import WorkerResources

RESOURCES = WorkerResources(2, 1, 0.0)
SETTINGS = RunnerSettings("workers", RESOURCES, "/scratch")
SHARED = SharedRefs("data-ref", "weights-ref")
NODE_ID = "ab" * 28
NO_ANSWER = object()
END = WorkerMessage()
EPOCHS = [WorkerMessage({3: make_record(epoch, 0.5)}) for epoch in (1, 2, 3)]


@dataclass
class Coordinator:
    """A coordinator with the messages of the workers; without any, it does not answer."""

    messages: list[WorkerMessage] = field(default_factory=list)
    calls: list[object] = field(default_factory=list)
    connected: bool = True
    gone: bool = False

    def submit(self, job: GroupJob) -> object:
        return self._answer(job.number)

    def shut_down(self) -> object:
        return self._answer("shut down")

    def decide(self, decision: Decision) -> object:
        return self._answer(decision)

    def next_message(self) -> object:
        if self.gone:
            return RayActorError()
        return self.messages.pop(0) if self.messages else NO_ANSWER

    def worker_connected(self) -> object:
        return RayActorError() if self.gone else self.connected

    def _answer(self, call: object) -> object:
        self.calls.append(call)
        return RayActorError() if self.gone else None


@dataclass
class Trainer:
    """A trainer whose workers end when `ended` is set, with `error` if there is one."""

    ended: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None

    def fit(self) -> None:
        self.ended.wait()
        if self.error is not None:
            raise self.error

    def end(self, error: Exception | None = None) -> None:
        self.error = error
        self.ended.set()


@dataclass
class FakeRay:
    coordinator: Coordinator
    trainer: Trainer
    options: dict[str, Any] = field(default_factory=dict)
    killed: list[object] = field(default_factory=list)


def get(answer: object, timeout: float | None = None) -> object:
    if isinstance(answer, Exception):
        raise answer
    return answer


def wait(answers: list[object], timeout: float) -> tuple[list[object], list[object]]:
    return ([], answers) if answers[0] is NO_ANSWER else (answers, [])


@pytest.fixture
def fake_ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRay]:
    fake = FakeRay(Coordinator(), Trainer())
    handle = FakeActor(fake.coordinator)

    def options(**keywords: Any) -> SimpleNamespace:
        fake.options = keywords
        return SimpleNamespace(remote=lambda: handle)

    context = SimpleNamespace(get_node_id=lambda: NODE_ID)
    monkeypatch.setattr(ray_train.ray, "get_runtime_context", lambda: context)
    monkeypatch.setattr(ray_train.ray, "remote", lambda _: SimpleNamespace(options=options))
    monkeypatch.setattr(ray_train.ray, "wait", wait)
    monkeypatch.setattr(ray_train.ray, "get", get)
    monkeypatch.setattr(ray_train.ray, "kill", fake.killed.append)
    monkeypatch.setattr(ray_train, "make_trainer", lambda settings, config: fake.trainer)
    monkeypatch.setattr(ray_train, "CLOSE_TIMEOUT_S", 10.0)
    yield fake
    fake.trainer.end()


@pytest.fixture
def runner(fake_ray: FakeRay) -> RayTrainRunner:
    return RayTrainRunner(SETTINGS, SHARED)


@pytest.mark.usefixtures("runner")
def test_the_coordinator_takes_no_cpu_and_stays_on_the_node_of_the_runner(
    fake_ray: FakeRay,
) -> None:
    affinity = fake_ray.options.pop("scheduling_strategy")
    assert (affinity.node_id, affinity.soft) == (NODE_ID, False)
    assert fake_ray.options == {"num_cpus": 0, "name": "workers-coordinator"}


def test_a_decision_follows_each_epoch_once_the_next_one_is_requested(
    runner: RayTrainRunner, fake_ray: FakeRay, job: GroupJob
) -> None:
    coordinator = fake_ray.coordinator
    coordinator.messages += [*EPOCHS[:2], END]
    runner.begin(job)
    assert runner.next_outcomes(()) == EPOCHS[0].outcomes
    assert coordinator.calls == [3]
    assert runner.next_outcomes({5}) == EPOCHS[1].outcomes
    assert coordinator.calls == [3, (5,)]
    assert runner.next_outcomes(()) is None
    runner.stop()  # the trial has ended: there is nothing to stop
    assert coordinator.calls == [3, (5,), ()]


def test_the_error_of_a_trial_is_raised_and_another_trial_can_begin(
    runner: RayTrainRunner, fake_ray: FakeRay, job: GroupJob, next_job: GroupJob
) -> None:
    error = CheckpointError("damaged")
    fake_ray.coordinator.messages += [WorkerMessage(error=error), EPOCHS[0]]
    runner.begin(job)
    with pytest.raises(CheckpointError, match="damaged"):
        runner.next_outcomes(())
    runner.stop()
    runner.begin(next_job)
    assert runner.next_outcomes(()) == EPOCHS[0].outcomes
    assert fake_ray.coordinator.calls == [3, 4]


def test_a_stop_after_an_epoch_waits_for_the_end_of_the_trial(
    runner: RayTrainRunner, fake_ray: FakeRay, job: GroupJob
) -> None:
    fake_ray.coordinator.messages += [EPOCHS[0], END]
    runner.begin(job)
    runner.next_outcomes(())
    runner.stop()
    assert fake_ray.coordinator.calls == [3, None]
    assert fake_ray.coordinator.messages == []


def test_a_stop_within_an_epoch_answers_its_outcomes_with_a_stop(
    runner: RayTrainRunner, fake_ray: FakeRay, job: GroupJob
) -> None:
    fake_ray.coordinator.messages += [EPOCHS[0], END]
    runner.begin(job)
    runner.stop()
    assert fake_ray.coordinator.calls == [3, None]
    assert fake_ray.coordinator.messages == []


def test_workers_that_do_not_stop_in_time_are_lost(
    runner: RayTrainRunner, fake_ray: FakeRay, job: GroupJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_train, "STOP_TIMEOUT_S", 0.0)
    fake_ray.coordinator.messages += [EPOCHS[0]]
    runner.begin(job)
    runner.next_outcomes(())
    with pytest.raises(WorkersLostError, match="do not answer"):
        runner.stop()


def test_a_coordinator_that_does_not_answer_is_lost(
    runner: RayTrainRunner, fake_ray: FakeRay, job: GroupJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_train, "ANSWER_TIMEOUT_S", 0.0)
    monkeypatch.setattr(fake_ray.coordinator, "submit", lambda job: NO_ANSWER)
    with pytest.raises(WorkersLostError, match="do not answer"):
        runner.begin(job)


def test_a_closed_runner_shuts_its_workers_and_its_coordinator_down(
    runner: RayTrainRunner, fake_ray: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake_ray.coordinator, "shut_down", fake_ray.trainer.end)
    runner.close()
    assert fake_ray.killed == [FakeActor(fake_ray.coordinator)]


def test_a_runner_whose_workers_are_lost_can_be_closed(
    runner: RayTrainRunner, fake_ray: FakeRay
) -> None:
    fake_ray.coordinator.gone = True
    fake_ray.trainer.end(RuntimeError("node lost"))
    runner.close()
    assert len(fake_ray.killed) == 1


def test_workers_that_do_not_end_are_reported(
    runner: RayTrainRunner, fake_ray: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_train, "CLOSE_TIMEOUT_S", 0.01)
    with pytest.raises(RuntimeError, match="the Ray Train workers did not end within 0 s"):
        runner.close()
    assert len(fake_ray.killed) == 1


@pytest.mark.parametrize(
    ("connected", "error_class", "message"),
    [
        (True, WorkersLostError, "the Ray Train workers ended: RuntimeError: node lost"),
        (
            False,
            WorkersNotStartedError,
            "the Ray Train workers did not start: RuntimeError: node lost",
        ),
    ],
)
def test_workers_that_are_gone_are_told_from_workers_that_never_started(
    connected: bool,
    error_class: type[WorkersLostError],
    message: str,
    runner: RayTrainRunner,
    fake_ray: FakeRay,
    job: GroupJob,
) -> None:
    runner.begin(job)
    fake_ray.coordinator.connected = connected
    fake_ray.trainer.end(RuntimeError("node lost"))
    with pytest.raises(WorkersLostError, match=message) as caught:
        runner.next_outcomes(())
    assert type(caught.value) is error_class


def test_a_lost_coordinator_is_the_loss_of_the_workers(
    runner: RayTrainRunner, fake_ray: FakeRay, job: GroupJob
) -> None:
    runner.begin(job)
    fake_ray.coordinator.gone = True
    with pytest.raises(WorkersLostError, match="the coordinator of the workers is gone"):
        runner.next_outcomes(())


def test_a_coordinator_that_is_lost_with_the_workers_has_seen_them(
    runner: RayTrainRunner,
    fake_ray: FakeRay,
    job: GroupJob,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runner.begin(job)
    fake_ray.coordinator.gone = True
    monkeypatch.setattr(fake_ray.coordinator, "next_message", lambda: NO_ANSWER)
    fake_ray.trainer.end(RuntimeError("node lost"))
    with pytest.raises(WorkersLostError) as caught:
        runner.next_outcomes(())
    assert type(caught.value) is WorkersLostError


def test_workers_are_placed_and_never_restarted_by_ray_train(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        ray_train, "trainer_class", lambda: lambda *args, **keywords: (args, keywords)
    )
    config = WorkerConfig("coordinator", SHARED, threads=1, device_share=1.0)
    arguments, keywords = make_trainer(SETTINGS, config)
    assert arguments == (work,)
    assert keywords["train_loop_config"] == {"worker": config}
    assert keywords["scaling_config"] == scaling_config(RESOURCES)
    assert keywords["torch_config"].timeout_s == 1200  # of an epoch
    on_gpus = RunnerSettings("workers", WorkerResources(2, 1, 1.0), "/scratch")
    _, keywords = make_trainer(on_gpus, config)
    assert keywords["torch_config"].backend == "cpu:gloo,cuda:nccl"
    run_config = keywords["run_config"]
    assert (run_config.name, run_config.storage_path) == ("workers", "/scratch")
    failures = run_config.failure_config
    assert failures.max_failures == 0
    assert failures.controller_failure_limit == 0
    assert failures.max_preemption_failures == 0
