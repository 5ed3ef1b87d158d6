"""Ray tasks of a search other than its trials."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Generic, TypeVar

import ray
import torch

from adaptune.cluster.nodes import REFRESH_S, ClusterCapacity
from adaptune.cluster.placement import PlacementPlan
from adaptune.errors import NodesLostError, TaskTimeoutError
from adaptune.signals import raise_if_stopped
from adaptune.spec.schema import SearchSpec, TrialSpec
from adaptune.training.build import set_backends

T = TypeVar("T")
NOTICE_S = 60.0
TASK_RETRIES = 3  # as Ray's default


@dataclass
class ClusterTask(Generic[T]):
    """A Ray task that yields when it starts, and then its result.

    Attributes:
        name: name on the Ray dashboard.
        outputs: what the task yields.
        start: time of the monotonic clock when the task was seen to run; None before.
        result: reference to the result, once the task has ended.
    """

    name: str
    outputs: ray.ObjectRefGenerator
    start: float | None = None
    result: list[ray.ObjectRef] = field(default_factory=list)


class ClusterTasks:
    """Runs functions as Ray tasks on nodes that trials may run on.

    Args:
        capacity: number of trials that fit on the cluster now.
        notify: prints a line for the user.
        timeout_s: seconds that a task may run.
    """

    def __init__(
        self,
        plan: PlacementPlan,
        capacity: ClusterCapacity,
        notify: Callable[[str], object] = print,
        timeout_s: float = float("inf"),
    ) -> None:
        self._resources = plan.resources
        self._capacity = capacity
        self._notify = notify
        self._timeout_s = timeout_s
        self.cpus_per_task = plan.task_cpus

    def submit(
        self,
        name: str,
        function: Callable[..., T],
        *arguments: object,
        cpus: int,
        max_retries: int = TASK_RETRIES,
    ) -> ClusterTask[T]:
        """Start a task with the GPUs of one worker.

        Args:
            name: name on the Ray dashboard.
            cpus: CPUs of the task.
            max_retries: how often the task is repeated if its process dies.
        """
        options = {
            "name": name,
            "num_cpus": cpus,
            "num_gpus": self._resources.gpus_per_worker,
            "accelerator_type": self._resources.accelerator_type,
            "label_selector": self._resources.label_selector,
            "num_returns": "streaming",
            "max_retries": max_retries,
        }
        task = ray.remote(_announced).options(**options)
        return ClusterTask(name, task.remote(function, *arguments))

    def results(self, tasks: Sequence[ClusterTask[T]]) -> list[T]:
        """Wait for tasks.

        Raises:
            NodesLostError: no node had room for a trial, or other jobs left none for a task, for
                `ClusterCapacity.node_timeout_s`. The tasks are cancelled, as for the next error.
            TaskTimeoutError: a task ran longer than `timeout_s`.
        """
        wait = _Wait(self._capacity, self._notify, self._timeout_s)
        while pending := [task for task in tasks if not task.result]:
            raise_if_stopped()
            outputs = [task.outputs for task in pending]
            ready, _ = ray.wait(outputs, num_returns=len(outputs), timeout=REFRESH_S)
            for task in pending:
                if task.outputs in ready:
                    _take_output(task)
            unfinished = [task for task in tasks if not task.result]
            try:
                wait.check(unfinished)
            except NodesLostError:
                for task in unfinished:
                    ray.cancel(task.outputs, force=True)
                raise
        return [ray.get(task.result[0]) for task in tasks]


def task_timeout_s(spec: SearchSpec) -> float:
    """Return how long a task may run: `resources.epoch_timeout_s` per epoch's number of updates."""
    training = spec.trial({}, seed=spec.seed).training
    updates = max(training.source.steps, training.epochs * training.steps_per_epoch)
    return spec.resources.epoch_timeout_s * ceil(updates / training.steps_per_epoch)


def task_device(spec: TrialSpec, threads: int) -> torch.device:
    """Set torch's threads and backends in a task's process, and return its device."""
    torch.set_num_threads(threads)
    set_backends(spec)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _announced(function: Callable[..., T], *arguments: object) -> Iterator[T | None]:
    """Yield None at the start, and then the result of the function."""
    yield None
    yield function(*arguments)


def _take_output(task: ClusterTask[T]) -> None:
    output = next(task.outputs)
    if task.start is None:
        ray.get(output)  # raises if the task could not start
        task.start = time.monotonic()
    else:
        task.result.append(output)


class _Wait:
    """The bounds of a wait for tasks."""

    def __init__(
        self, capacity: ClusterCapacity, notify: Callable[[str], object], timeout_s: float
    ) -> None:
        self._capacity = capacity
        self._notify = notify
        self._timeout_s = timeout_s
        self._idle_since = time.monotonic()  # no task of ours runs since then
        self._shortage_since: float | None = None
        self._notified: set[str] = set()

    def check(self, pending: Sequence[ClusterTask[T]]) -> None:
        """Check whether the tasks have waited or run for too long."""
        now = time.monotonic()
        room_timeout_s = self._capacity.node_timeout_s
        if not pending or self._capacity(1):
            self._shortage_since = None
        elif self._shortage_since is None:
            self._shortage_since = now
        elif now - self._shortage_since > room_timeout_s:
            raise _lost(f"no node had room for a trial for {room_timeout_s:g} s")
        if any(task.start is not None for task in pending):
            self._idle_since = now  # the others may wait for its room
        for task in pending:
            if task.start is None:
                self._check_start(task.name, now - self._idle_since, room_timeout_s)
            elif now - task.start > self._timeout_s:
                reason = f"the task '{task.name}' ran for more than {self._timeout_s:g} s"
                raise TaskTimeoutError(_explain(reason))

    def _check_start(self, name: str, waited_s: float, timeout_s: float) -> None:
        if self._shortage_since is not None:
            return
        if waited_s > timeout_s:
            raise _lost(f"other jobs left no room for the task '{name}' for {timeout_s:g} s")
        if waited_s > NOTICE_S and name not in self._notified:
            self._notified.add(name)
            self._notify(f"the task '{name}' waits for room on the cluster, which other jobs use")


def _lost(reason: str) -> NodesLostError:
    return NodesLostError(_explain(reason))


def _explain(reason: str) -> str:
    return f"{reason}. Everything is kept; the same command, with --resume for a search, continues"
