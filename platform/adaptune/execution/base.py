"""What a lane is asked to do, and what it is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch

from adaptune.data.splits import TrialData
from adaptune.spec.schema import TrialSpec
from adaptune.training.build import build_classifier
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.loop import Notice, Record, fit
from adaptune.training.state import Weights
from adaptune.training.steps.batch import TrainingImages


@dataclass(frozen=True)
class TrialJob:
    """One trial to be run, from its newest checkpoint where there is one."""

    number: int
    spec: TrialSpec
    checkpoints: CheckpointFolder
    metric: str  # what the trial's best epoch is chosen by
    health: bool  # whether to look for the signs of a GAN gone wrong


@dataclass(frozen=True)
class RunnerSettings:
    """What a lane is made of: its workers and what each of them holds."""

    name: str
    workers: int
    cpus_per_worker: int
    gpus_per_worker: float
    accelerator_type: str | None
    label_selector: dict[str, str] | None
    placement_strategy: str
    scratch: str  # folder for Ray Train's own files


class TrialRunner(Protocol):
    """Workers that stay warm and run one trial after another. One thread uses it."""

    def begin(self, job: TrialJob) -> None:
        """Take the next trial; the one before has ended or was stopped."""

    def next_record(self) -> Record | None:
        """Train for one more epoch. None: the trial had no more to train.

        Raises:
            NonFiniteLossError, CheckpointError: the trial failed; the lane can take another.
            WorkersLostError: the workers are gone, or about to be; the lane can only be closed.
        """

    def stop(self) -> None:
        """End the trial after the epoch that was last asked for."""

    def close(self) -> None:
        """Let the workers go. Nothing is left behind."""


class WorkerRuntime:
    """What a worker of a lane keeps from trial to trial."""

    def __init__(self, data: TrialData, source_weights: Weights, device: torch.device) -> None:
        self.device = device
        self._data = data
        self._source_weights = source_weights
        self._images: TrainingImages | None = None

    def records(self, job: TrialJob, notice: Notice | None = None) -> Iterator[Record]:
        """The job's epochs, trained in this process (and its fellow workers', where there are any)."""
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = (
            job.spec.training.tf32
        )
        if self._images is None:
            f_source = build_classifier(
                job.spec.model.classifier, job.spec.data.source, len(self._data.class_names)
            )
            f_source.load_state_dict(self._source_weights)
            self._images = TrainingImages(self._data, f_source.to(self.device), self.device)
        return fit(
            job.spec,
            self._data,
            self._source_weights,
            device=self.device,
            checkpoints=job.checkpoints,
            images=self._images,
            metric=job.metric,
            health=job.health,
            notice=notice,
        )

    def clear(self) -> None:
        """Give the memory of the last trial back."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
