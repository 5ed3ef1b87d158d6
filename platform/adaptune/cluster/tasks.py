"""Ray tasks of a search other than its trials."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import ray
import torch

from adaptune.cluster.nodes import REFRESH_S, ClusterCapacity
from adaptune.cluster.placement import PlacementPlan
from adaptune.errors import NodesLostError

T = TypeVar("T")


@dataclass(frozen=True)
class ClusterTask(Generic[T]):
    """A Ray task that returns a T."""

    ref: ray.ObjectRef


class ClusterTasks:
    """Runs functions as Ray tasks on nodes that trials may run on."""

    def __init__(self, plan: PlacementPlan, capacity: ClusterCapacity) -> None:
        self._resources = plan.resources
        self._capacity = capacity
        self.cpus_per_task = plan.task_cpus

    def submit(
        self, name: str, function: Callable[..., T], *arguments: object, cpus: int
    ) -> ClusterTask[T]:
        """Start a task with the GPUs of one worker.

        Args:
            name: name on the Ray dashboard.
            cpus: CPUs of the task.
        """
        options = {
            "name": name,
            "num_cpus": cpus,
            "num_gpus": self._resources.gpus_per_worker,
            "accelerator_type": self._resources.accelerator_type,
            "label_selector": self._resources.label_selector,
        }
        return ClusterTask(ray.remote(function).options(**options).remote(*arguments))

    def results(self, tasks: Sequence[ClusterTask[T]]) -> list[T]:
        """Wait for tasks as long as they run; a wait for a node has a limit.

        Raises:
            NodesLostError: no node had room for a trial for `ClusterCapacity.node_timeout_s`.
        """
        timeout_s = self._capacity.node_timeout_s
        shortage_since: float | None = None
        refs = [task.ref for task in tasks]
        pending = refs
        while pending:
            _, pending = ray.wait(pending, num_returns=len(pending), timeout=REFRESH_S)
            now = time.monotonic()
            if not pending or self._capacity(1):
                shortage_since = None
            elif shortage_since is None:
                shortage_since = now
            elif now - shortage_since > timeout_s:
                raise NodesLostError(
                    f"no node had room for a trial for {timeout_s:g} s. Everything is kept; the"
                    " same command, with --resume for a search, continues"
                )
        results: list[T] = ray.get(refs)
        return results


def task_device(threads: int) -> torch.device:
    """Set torch's threads in a task's process, and return the device to train on."""
    torch.set_num_threads(threads)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
