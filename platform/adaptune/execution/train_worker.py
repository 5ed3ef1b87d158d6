"""What each Ray Train worker of a lane does: trial after trial, until it is sent home."""

from __future__ import annotations

from typing import Any

import ray
import torch
from ray.train import get_context
from ray.train.torch import get_device

from adaptune.errors import CheckpointError, NonFiniteLossError
from adaptune.execution.desk import Message
from adaptune.execution.job import Bench, Job


def work(config: dict[str, Any]) -> None:
    """The training function of a lane's TorchTrainer.

    Args:
        config: `desk` (actor handle), `shared` (object references to the TrialData and to the weights of
            f_S, read without a copy), `cpus` (threads a worker).
    """
    torch.set_num_threads(config["cpus"])
    data, source_weights = ray.get(config["shared"])
    _Worker(config["desk"], Bench(data, source_weights, get_device())).run()


class _Worker:
    def __init__(self, desk: Any, bench: Bench) -> None:
        self.desk = desk
        self.bench = bench
        self.leads = get_context().get_world_rank() == 0
        self.decisions = 0

    def run(self) -> None:
        turn = 0
        while (job := ray.get(self.desk.job.remote(turn))) is not None:
            turn += 1
            self._post(Message(error=self._train(job)))
            self.bench.clear()

    def _train(self, job: Job) -> NonFiniteLossError | CheckpointError | None:
        """Train until the end or a stop. The errors returned are raised by all workers alike."""
        try:
            for record in self.bench.records(job):
                self._post(Message(record=record))
                go_on = ray.get(self.desk.decision.remote(self.decisions))
                self.decisions += 1
                if not go_on:
                    break
        except (NonFiniteLossError, CheckpointError) as error:
            return error
        return None

    def _post(self, message: Message) -> None:
        if self.leads:
            ray.get(self.desk.post.remote(message))
