"""The training function of Ray Train workers: job after job, until they are shut down."""

from __future__ import annotations

import os
from dataclasses import dataclass

import ray
import torch
from ray.actor import ActorHandle
from ray.train import get_context, get_preemption_info
from ray.train.torch import get_device

from adaptune.errors import CheckpointError, PreemptedError, TrialCrashedError
from adaptune.execution.base import SharedRefs
from adaptune.execution.coordinator import Decision, WorkerMessage
from adaptune.execution.runtime import GroupJob, WorkerRuntime

PREEMPTION_WATCHED = os.environ.get("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER") == "1"


@dataclass(frozen=True)
class WorkerConfig:
    """Configuration of a worker.

    Attributes:
        coordinator: handle of the `TrialCoordinator` actor.
        shared: references to the data and the weights of f_S.
        threads: torch threads per worker.
        device_share: part of its device that a worker may use, in (0, 1].
    """

    coordinator: ActorHandle
    shared: SharedRefs
    threads: int
    device_share: float


def work(config: dict[str, WorkerConfig]) -> None:
    """Run trials until the coordinator shuts the worker down.

    Args:
        config: the `WorkerConfig` under the key `worker`; Ray Train passes a dict.
    """
    worker_config = config["worker"]
    torch.set_num_threads(worker_config.threads)
    data, source_weights = worker_config.shared.get()
    runtime = WorkerRuntime(data, source_weights, get_device(), worker_config.device_share)
    is_leader = get_context().get_world_rank() == 0
    Worker(worker_config.coordinator, runtime, is_leader=is_leader).run()


class Worker:
    """A worker that takes its trials and decisions from a coordinator.

    Args:
        is_leader: whether this worker, of rank 0, posts the messages of the group.
    """

    def __init__(
        self, coordinator: ActorHandle, runtime: WorkerRuntime, *, is_leader: bool
    ) -> None:
        self._coordinator = coordinator
        self._runtime = runtime
        self._is_leader = is_leader
        self._decisions = 0

    def run(self) -> None:
        """Train one trial group after another."""
        index = 0
        while (job := ray.get(self._coordinator.job.remote(index))) is not None:
            index += 1
            error = self._train(job)
            self._post(WorkerMessage(error=error))
            if isinstance(error, PreemptedError):
                return  # at once: Ray Train would keep the workers until the node is gone
            self._runtime.release_memory()

    def _train(self, job: GroupJob) -> CheckpointError | PreemptedError | None:
        """Train until the end or a stop; return an error that all workers raise alike.

        Raises:
            TrialCrashedError: this worker raised an error that another attempt would raise again.
                The others may wait for this worker: it posts the error itself, and the whole group
                ends with it.
        """
        is_preempted = _node_is_leaving if PREEMPTION_WATCHED else None
        stopped: set[int] = set()
        try:
            for outcomes in self._runtime.outcomes(job, stopped, is_preempted):
                self._post(WorkerMessage(outcomes))
                decision = self._next_decision()
                if decision is None:
                    break
                stopped.update(decision)
        except (CheckpointError, PreemptedError) as error:
            return error
        except TrialCrashedError as error:
            ray.get(self._coordinator.post.remote(WorkerMessage(error=error)))
            raise
        return None

    def _next_decision(self) -> Decision:
        decision: Decision = ray.get(self._coordinator.decision.remote(self._decisions))
        self._decisions += 1
        return decision

    def _post(self, message: WorkerMessage) -> None:
        if self._is_leader:
            ray.get(self._coordinator.post.remote(message))


def _node_is_leaving() -> bool:
    """Return whether a node of the group is about to leave; the same on all workers."""
    return get_preemption_info() is not None
