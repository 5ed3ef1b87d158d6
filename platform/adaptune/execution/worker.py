"""What each Ray Train worker of a lane does: trial after trial, until it is sent home."""

from __future__ import annotations

import os
from typing import Any

import ray
import torch
from ray.train import get_context, get_preemption_info
from ray.train.torch import get_device

from adaptune.errors import CheckpointError, NonFiniteLossError, PreemptedError
from adaptune.execution.base import TrialJob, WorkerRuntime
from adaptune.execution.coordinator import Message

WATCHED = os.environ.get("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER") == "1"


def work(config: dict[str, Any]) -> None:
    """The training function of a lane's TorchTrainer.

    Args:
        config: `coordinator` (actor handle), `shared` (object references to the TrialData and to the weights of
            f_S, read without a copy), `cpus` (threads a worker).
    """
    torch.set_num_threads(config["cpus"])
    data, source_weights = ray.get(config["shared"])
    _Worker(config["coordinator"], WorkerRuntime(data, source_weights, get_device())).run()


class _Worker:
    def __init__(self, coordinator: Any, bench: WorkerRuntime) -> None:
        self.coordinator = coordinator
        self.bench = bench
        self.leads = get_context().get_world_rank() == 0
        self.decisions = 0

    def run(self) -> None:
        turn = 0
        while (job := ray.get(self.coordinator.job.remote(turn))) is not None:
            turn += 1
            error = self._train(job)
            self._post(Message(error=error))
            if isinstance(error, PreemptedError):
                return  # at once: Ray Train would keep the lane until the node is gone
            self.bench.clear()

    def _train(self, job: TrialJob) -> NonFiniteLossError | CheckpointError | PreemptedError | None:
        """Train until the end or a stop. The errors returned are raised by all workers alike."""
        try:
            for record in self.bench.records(job, _node_is_leaving if WATCHED else None):
                self._post(Message(record=record))
                go_on = ray.get(self.coordinator.decision.remote(self.decisions))
                self.decisions += 1
                if not go_on:
                    break
        except (NonFiniteLossError, CheckpointError, PreemptedError) as error:
            return error
        return None

    def _post(self, message: Message) -> None:
        if self.leads:
            ray.get(self.coordinator.post.remote(message))


def _node_is_leaving() -> bool:
    """Whether a node of this lane is about to be taken away; all workers get the same answer."""
    return get_preemption_info() is not None
