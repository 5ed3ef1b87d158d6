"""What each Ray Train worker of a lane does: trial after trial, until it is sent home."""

from __future__ import annotations

from typing import Any

import ray
import torch
from ray.train import get_context
from ray.train.torch import get_device

from adaptune.data.splits import TrialData
from adaptune.errors import CheckpointError, NonFiniteLossError
from adaptune.execution.desk import Message
from adaptune.execution.job import Job, records_of
from adaptune.training.state import Weights


def work(config: dict[str, Any]) -> None:
    """The training function of a lane's TorchTrainer.

    Args:
        config: `desk` (actor handle), `data` and `source_weights` (object references in a list, read
            without a copy), `cpus` (threads a worker).
    """
    torch.set_num_threads(config["cpus"])
    data, source_weights = ray.get(config["shared"])
    worker = _Worker(config["desk"], data, source_weights)
    worker.run()


class _Worker:
    def __init__(self, desk: Any, data: TrialData, source_weights: Weights) -> None:
        self.desk = desk
        self.data = data
        self.source_weights = source_weights
        self.device: torch.device = get_device()
        self.leads = get_context().get_world_rank() == 0
        self.decisions = 0

    def run(self) -> None:
        turn = 0
        while (job := ray.get(self.desk.job.remote(turn))) is not None:
            turn += 1
            self._post(Message(error=self._train(job)))
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def _train(self, job: Job) -> NonFiniteLossError | CheckpointError | None:
        """Train until the end or a stop. The errors returned are raised by all workers alike."""
        try:
            for record in records_of(job, self.data, self.source_weights, self.device):
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
