"""The lane of Ray Train workers: one TorchTrainer, started once, that runs trial after trial."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import RayActorError
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from adaptune.errors import WorkersLostError, WorkersNotStartedError
from adaptune.execution.base import RunnerSettings, TrialJob
from adaptune.execution.coordinator import Message, TrialCoordinator
from adaptune.execution.trainer import LaneTrainer
from adaptune.execution.worker import work
from adaptune.training.loop import Record

POLL_S = 1.0
CLOSE_TIMEOUT_S = 30.0


class RayTrainRunner:
    """See `TrialRunner`. `fit()` of the TorchTrainer runs in a thread of the owner; the coordinator is between them."""

    def __init__(self, settings: RunnerSettings, shared: list[Any]) -> None:
        """Start the workers; returns at once.

        Args:
            shared: object references to the TrialData and to the weights of f_S.
        """
        # Beside its owner: a lost node of the workers must not take it away.
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        options = {
            "num_cpus": 0,
            "name": f"adaptune-desk-{settings.name}",
            "scheduling_strategy": here,
        }
        self._coordinator = ray.remote(TrialCoordinator).options(**options).remote()
        self._trainer = LaneTrainer(
            work,
            train_loop_config={
                "coordinator": self._coordinator,
                "shared": shared,
                "cpus": settings.cpus_per_worker,
            },
            scaling_config=ScalingConfig(
                num_workers=settings.workers,
                use_gpu=settings.gpus_per_worker > 0,
                resources_per_worker={"CPU": settings.cpus_per_worker}
                | ({"GPU": settings.gpus_per_worker} if settings.gpus_per_worker else {}),
                accelerator_type=settings.accelerator_type,
                label_selector=settings.label_selector,
                placement_strategy=settings.placement_strategy,
            ),
            run_config=RunConfig(
                name=settings.name,
                storage_path=settings.scratch,
                # A broken lane is replaced as a whole: Ray Train must not restart workers behind our back,
                # nor try for ever to start them.
                failure_config=FailureConfig(
                    max_failures=0, controller_failure_limit=0, max_preemption_failures=0
                ),
            ),
        )
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._fit, name=f"fit-{settings.name}", daemon=True)
        self._thread.start()
        self._running = False  # a trial is on the workers
        self._undecided = False  # they wait for a decision on its last record

    def begin(self, job: TrialJob) -> None:
        self._ask(self._coordinator.submit, job)
        self._running = True

    def next_record(self) -> Record | None:
        if self._undecided:
            self._decide(True)
        message = self._next_message()
        self._undecided = message.record is not None
        self._running = self._undecided
        if message.error is not None:
            raise message.error
        return message.record

    def stop(self) -> None:
        if self._undecided:
            self._decide(False)
        while self._running:
            message = self._next_message()
            if message.record is None:
                self._running = False
            else:
                self._decide(False)

    def close(self) -> None:
        """See `TrialRunner`.

        Raises:
            RuntimeError: the workers do not end, and only the owner's end will make them.
        """
        with suppress(WorkersLostError):
            self._ask(self._coordinator.submit, None)
        self._thread.join(CLOSE_TIMEOUT_S)
        ray.kill(self._coordinator)
        if self._thread.is_alive():
            raise RuntimeError(f"the Ray Train workers did not end within {CLOSE_TIMEOUT_S:.0f} s")

    def _fit(self) -> None:
        try:
            self._trainer.fit()
        except BaseException as error:
            self._failure = error

    def _decide(self, go_on: bool) -> None:
        self._undecided = False
        self._ask(self._coordinator.decide, go_on)

    def _next_message(self) -> Message:
        message: Message = self._ask(self._coordinator.next_message)
        return message

    def _ask(self, method: Any, *arguments: Any) -> Any:
        """What the coordinator answers, for as long as there are workers.

        Raises:
            WorkersLostError: there are none any more, or no coordinator.
            WorkersNotStartedError: there were none ever.
        """
        pending = method.remote(*arguments)
        while not ray.wait([pending], timeout=POLL_S)[0]:
            if not self._thread.is_alive():
                raise self._no_workers()
        try:
            return ray.get(pending)
        except RayActorError as error:
            raise WorkersLostError(f"the lane's coordinator is gone: {error}") from error

    def _no_workers(self) -> WorkersLostError:
        try:
            worker_connected = ray.get(self._coordinator.worker_connected.remote())
        except RayActorError:
            worker_connected = True
        if worker_connected:
            return WorkersLostError(f"the Ray Train workers ended: {self._failure}")
        return WorkersNotStartedError(f"the Ray Train workers did not start: {self._failure}")
