"""A trial to run, and what a worker keeps between trials; independent of Ray."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from adaptune.data.residency import fits_on_device
from adaptune.data.splits import TrialData
from adaptune.execution.cause import crash_reported
from adaptune.spec.schema import TrialSpec
from adaptune.training.build import build_classifier, set_tf32
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


class WorkerRuntime:
    """State that a worker keeps between trials: the data, f_S and its labels, on one device.

    Args:
        device_share: part of the device that this worker may use, in (0, 1].
    """

    def __init__(
        self,
        data: TrialData,
        source_weights: StateDict,
        device: torch.device,
        device_share: float = 1.0,
    ) -> None:
        self.device = device
        self._device_share = device_share
        self._data = data
        self._source_weights = source_weights
        data.prepare_on_this_node()
        self._images: TrainingImages | None = None

    def records(
        self, job: TrialJob, is_preempted: IsPreempted | None = None
    ) -> Iterator[EpochRecord]:
        """Train the job's epochs in this process, together with the other workers if there are any.

        Raises:
            NonFiniteLossError, CheckpointError, PreemptedError: see `fit`.
            TrialCrashedError: another attempt would raise the same error.
        """
        with crash_reported():
            return _reported(self._fit(job, is_preempted))

    def release_memory(self) -> None:
        """Return the device memory of the last trial to the system."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _fit(self, job: TrialJob, is_preempted: IsPreempted | None) -> Iterator[EpochRecord]:
        set_tf32(job.spec)
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

    def _training_images(self, spec: TrialSpec) -> TrainingImages:
        classes = len(self._data.class_names)
        f_source = build_classifier(spec.model.classifier, spec.data.source, classes)
        f_source.load_state_dict(self._source_weights)
        is_resident = fits_on_device(
            self._data.nbytes, self.device, spec.data.resident_gb, self._device_share
        )
        return TrainingImages(
            self._data, f_source.to(self.device), self.device, is_resident=is_resident
        )


def _reported(records: Iterator[EpochRecord]) -> Iterator[EpochRecord]:
    with crash_reported():
        yield from records
