"""The interface of a trial runner, and what its workers keep between trials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import ray
import torch

from adaptune.data.splits import TrialData
from adaptune.spec.resources import WorkerResources
from adaptune.spec.schema import TrialSpec
from adaptune.training.build import build_classifier
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.loop import IsPreempted, fit
from adaptune.training.record import EpochRecord
from adaptune.training.state import StateDict
from adaptune.training.steps.batch import TrainingImages


@dataclass(frozen=True)
class TrialJob:
    """A trial to run, from its newest checkpoint if there is one.

    Attributes:
        number: number of the trial in the study.
        spec: resolved spec of the trial.
        checkpoints: folder of the trial's checkpoints.
        metric: metric by which the trial's best epoch is chosen.
        check_health: whether each epoch is checked for the symptoms of a failing GAN.
    """

    number: int
    spec: TrialSpec
    checkpoints: CheckpointFolder
    metric: str
    check_health: bool


@dataclass(frozen=True)
class SharedRefs:
    """Ray object references to what all trials of a search read.

    Attributes:
        data: reference to the `TrialData`.
        source_weights: reference to the weights of f_S.
    """

    data: ray.ObjectRef
    source_weights: ray.ObjectRef

    def get(self) -> tuple[TrialData, StateDict]:
        """Fetch both; arrays are read from the object store without a copy."""
        data, source_weights = ray.get([self.data, self.source_weights])
        return data, source_weights


@dataclass(frozen=True)
class RunnerSettings:
    """Settings of a trial runner.

    Attributes:
        name: name of the worker group in Ray's tables and on the dashboard.
        resources: resources of the worker group.
        scratch: path or URI of a folder for Ray Train's own files.
    """

    name: str
    resources: WorkerResources
    scratch: str


class TrialRunner(Protocol):
    """A worker group that stays alive and runs one trial after another, for one thread."""

    def begin(self, job: TrialJob) -> None:
        """Start the next trial; the previous one has ended or was stopped."""

    def next_record(self) -> EpochRecord | None:
        """Train one more epoch and return its record, or None if the trial has no more epochs.

        Raises:
            NonFiniteLossError, CheckpointError: the trial failed; the runner can start another.
            WorkersLostError: the workers are gone or about to go; the runner can only be closed.
        """

    def stop(self) -> None:
        """End the trial after the epoch that was requested last."""

    def close(self) -> None:
        """Shut the workers down and leave nothing of them on the cluster."""


class WorkerRuntime:
    """State that a worker keeps between trials: the data, f_S and its labels, on one device."""

    def __init__(self, data: TrialData, source_weights: StateDict, device: torch.device) -> None:
        self.device = device
        self._data = data
        self._source_weights = source_weights
        self._images: TrainingImages | None = None

    def records(
        self, job: TrialJob, is_preempted: IsPreempted | None = None
    ) -> Iterator[EpochRecord]:
        """Train the job's epochs in this process, together with the other workers if there are any.

        Raises:
            NonFiniteLossError, CheckpointError, PreemptedError: see `fit`.
        """
        tf32 = job.spec.training.tf32
        torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.backends.cudnn.allow_tf32 = tf32
        if self._images is None:
            self._images = self._training_images(job.spec)
        return fit(
            job.spec,
            self._data,
            self._source_weights,
            device=self.device,
            checkpoints=job.checkpoints,
            images=self._images,
            metric=job.metric,
            health=job.check_health,
            is_preempted=is_preempted,
        )

    def release_memory(self) -> None:
        """Return the device memory of the last trial to the system."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _training_images(self, spec: TrialSpec) -> TrainingImages:
        classes = len(self._data.class_names)
        f_source = build_classifier(spec.model.classifier, spec.data.source, classes)
        f_source.load_state_dict(self._source_weights)
        return TrainingImages(self._data, f_source.to(self.device), self.device)
