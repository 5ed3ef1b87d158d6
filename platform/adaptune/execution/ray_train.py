"""A trial runner on Ray Train workers: one TorchTrainer, started once, that runs many trials."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from typing import cast

import ray
from ray.actor import ActorMethod
from ray.exceptions import GetTimeoutError, RayActorError
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from adaptune.errors import WorkersLostError, WorkersNotStartedError
from adaptune.execution.base import RunnerSettings, SharedRefs
from adaptune.execution.cause import cause_of, is_from_code
from adaptune.execution.coordinator import Decision, TrialCoordinator, WorkerMessage
from adaptune.execution.orphan_cleanup import trainer_class
from adaptune.execution.runtime import GroupJob
from adaptune.execution.worker import WorkerConfig, work
from adaptune.spec.resources import WorkerResources
from adaptune.training.loop import Outcome

POLL_S = 1.0
ANSWER_TIMEOUT_S = 120.0  # of the coordinator, whose process may have to start first
STOP_TIMEOUT_S = 60.0
CLOSE_TIMEOUT_S = 30.0
# A collective also waits while rank 0 reads or writes checkpoints, and a bucket that does not
# answer is asked again for five minutes, several times in a row.
MIN_COLLECTIVE_TIMEOUT_S = 900


class RayTrainRunner:
    """A `TrialRunner` whose workers are Ray Train's.

    `TorchTrainer.fit()` runs in a thread of this process; a coordinator actor passes trials,
    outcomes and decisions between the two.
    """

    def __init__(self, settings: RunnerSettings, shared: SharedRefs) -> None:
        """Start the workers; return at once."""
        # On this node: the loss of a worker's node must not take the coordinator away.
        this_node = NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        actor_class = ray.remote(TrialCoordinator).options(
            num_cpus=0,
            name=f"{settings.name}-coordinator",
            scheduling_strategy=this_node,
        )
        self._coordinator = actor_class.remote()
        resources = settings.resources
        config = WorkerConfig(
            self._coordinator, shared, resources.cpus_per_worker, resources.device_share
        )
        self._trainer = make_trainer(settings, config)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._fit, name=f"fit-{settings.name}", daemon=True)
        self._thread.start()
        self._job_name = ""
        self._job_running = False
        self._decision_due = False  # the workers wait for a decision on the last epoch

    def begin(self, job: GroupJob) -> None:
        """Start the next trials."""
        self._call(self._coordinator.submit, job)
        self._job_name = job.name
        self._job_running = True

    def next_outcomes(self, stopped: Collection[int]) -> dict[int, Outcome] | None:
        """Train one more epoch; see `TrialRunner`."""
        if self._decision_due:
            self._decide(tuple(stopped))
        message = self._next_message()
        self._decision_due = message.outcomes is not None
        self._job_running = self._decision_due
        if message.error is not None:
            raise message.error
        return None if message.outcomes is None else dict(message.outcomes)

    def stop(self) -> None:
        """End the trials after the epoch that is being trained; see `TrialRunner`."""
        deadline = time.monotonic() + STOP_TIMEOUT_S
        if self._decision_due:
            self._decide(None)
        while self._job_running:
            if self._next_message(deadline).outcomes is None:
                self._job_running = False
            else:
                self._decide(None)

    def close(self) -> None:
        """Shut the workers down.

        Raises:
            RuntimeError: the workers do not end; only the end of this process will end them.
        """
        with suppress(WorkersLostError):
            self._call(self._coordinator.shut_down)
        self._thread.join(CLOSE_TIMEOUT_S)
        ray.kill(self._coordinator)
        if self._thread.is_alive():
            raise RuntimeError(f"the Ray Train workers did not end within {CLOSE_TIMEOUT_S:.0f} s")

    def _fit(self) -> None:
        try:
            self._trainer.fit()
        except BaseException as error:
            self._failure = error

    def _decide(self, decision: Decision) -> None:
        self._decision_due = False
        self._call(self._coordinator.decide, decision)

    def _next_message(self, deadline: float = math.inf) -> WorkerMessage:
        """Wait for a message; the search's watchdog bounds the wait for an epoch."""
        # This call lasts for an epoch: among the running tasks of the dashboard, it is the trial.
        wait = self._coordinator.next_message.options(name=self._job_name)
        message = self._wait(wait.remote(), deadline)
        return cast(WorkerMessage, message)

    def _call(self, method: ActorMethod, *arguments: object) -> None:
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        self._wait(method.remote(*arguments), deadline)

    def _wait(self, answer: ray.ObjectRef, deadline: float) -> object:
        """Wait for an answer of the coordinator as long as there are workers.

        Args:
            deadline: time of the monotonic clock.

        Raises:
            WorkersLostError: the workers or the coordinator are gone, or the deadline has passed.
            WorkersNotStartedError: the workers never started.
        """
        while not ray.wait([answer], timeout=POLL_S)[0]:
            if not self._thread.is_alive():
                raise self._workers_error()
            if time.monotonic() > deadline:
                raise WorkersLostError("the Ray Train workers do not answer")
        try:
            return cast(object, ray.get(answer))
        except RayActorError as error:
            raise WorkersLostError(f"the coordinator of the workers is gone: {error}") from error

    def _workers_error(self) -> WorkersLostError:
        try:
            started = ray.get(self._coordinator.worker_connected.remote(), timeout=ANSWER_TIMEOUT_S)
        except (RayActorError, GetTimeoutError):
            started = True
        cause = "nothing is known" if self._failure is None else cause_of(self._failure)
        if started:
            is_repeatable = is_from_code(self._failure)
            return WorkersLostError(
                f"the Ray Train workers ended: {cause}", is_from_code=is_repeatable
            )
        return WorkersNotStartedError(f"the Ray Train workers did not start: {cause}")


def make_trainer(settings: RunnerSettings, config: WorkerConfig) -> TorchTrainer:
    """Return a TorchTrainer for the runner's workers, not started yet."""
    # A broken group is replaced as a whole: Ray Train must neither restart workers on its own nor
    # try to start them for ever.
    no_retries = FailureConfig(
        max_failures=0, controller_failure_limit=0, max_preemption_failures=0
    )
    return trainer_class()(
        work,
        train_loop_config={"worker": config},
        torch_config=TorchConfig(
            backend=backend_of(settings.resources),
            timeout_s=max(MIN_COLLECTIVE_TIMEOUT_S, math.ceil(settings.epoch_timeout_s)),
        ),
        scaling_config=scaling_config(settings.resources),
        run_config=RunConfig(
            name=settings.name, storage_path=settings.scratch, failure_config=no_retries
        ),
    )


def backend_of(resources: WorkerResources) -> str | None:
    """Return the backends by which the workers communicate; None lets Ray Train choose one."""
    if resources.workers > 1 and resources.gpus_per_worker > 0:
        # Over NCCL, pickled objects such as image pools would pass through the memory of the GPUs.
        return "cpu:gloo,cuda:nccl"
    return None


def scaling_config(resources: WorkerResources) -> ScalingConfig:
    """Return the resources as Ray Train's ScalingConfig."""
    per_worker: dict[str, float] = {"CPU": resources.cpus_per_worker}
    if resources.gpus_per_worker:
        per_worker["GPU"] = resources.gpus_per_worker
    return ScalingConfig(
        num_workers=resources.workers,
        use_gpu=resources.gpus_per_worker > 0,
        resources_per_worker=per_worker,
        accelerator_type=resources.accelerator_type,
        label_selector=resources.label_selector,
        placement_strategy=resources.placement_strategy,
    )
