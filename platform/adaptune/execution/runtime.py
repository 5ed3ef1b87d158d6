"""Trials to run, and what a worker keeps between trials; independent of Ray."""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import torch

from adaptune.data.residency import fits_on_device
from adaptune.data.splits import TrialData
from adaptune.execution.cause import crash_reported
from adaptune.spec.schema import TrialSpec
from adaptune.training.build import set_backends
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.epoch_trainer import IsPreempted
from adaptune.training.group import GroupTrial
from adaptune.training.loop import Outcome, fit_group
from adaptune.training.state import StateDict
from adaptune.training.steps.batch import TrainingImages


@dataclass(frozen=True)
class TrialJob:
    """A trial to run.

    Attributes:
        number: number of the trial in the study.
        spec: resolved spec of the trial.
        checkpoints: folder of the checkpoints of the trial's group.
        metric: metric by which the trial's best epoch is chosen.
        check_health: whether each epoch is checked for the symptoms of a failing GAN.
    """

    number: int
    spec: TrialSpec
    checkpoints: CheckpointFolder
    metric: str
    check_health: bool


@dataclass(frozen=True)
class GroupJob:
    """Trials to run on one GAN, from the newest checkpoint of their group if there is one.

    Attributes:
        trials: the trials, whose specs differ in settings of the classifier side only.
    """

    trials: tuple[TrialJob, ...]

    @property
    def number(self) -> int:
        """Number of the first of these trials, for messages."""
        return self.trials[0].number

    @property
    def name(self) -> str:
        """The trials in words: `trial 3`, or `trials 3, 4, 7`."""
        numbers = ", ".join(str(trial.number) for trial in self.trials)
        return f"trial {numbers}" if len(self.trials) == 1 else f"trials {numbers}"

    def without(self, numbers: Collection[int]) -> GroupJob:
        """Return the job of the trials that have none of these numbers."""
        return GroupJob(tuple(trial for trial in self.trials if trial.number not in numbers))


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

    def outcomes(
        self,
        job: GroupJob,
        stopped: Collection[int] = (),
        is_preempted: IsPreempted | None = None,
    ) -> Iterator[dict[int, Outcome]]:
        """Train the job's epochs in this process, together with the other workers if there are any.

        It yields the outcome of each trial after each epoch, see `fit_group`.

        Args:
            stopped: numbers of the trials that do not continue; read before each epoch, so that the
                caller may add to it.
            is_preempted: see `fit_group`.

        Raises:
            CheckpointError, PreemptedError: see `fit_group`.
            TrialCrashedError: another attempt would raise the same error.
        """
        with crash_reported():
            return _reported(self._fit(job, stopped, is_preempted))

    def release_memory(self) -> None:
        """Return the device memory of the last trial to the system."""
        if self.device.type == "cuda":
            gc.collect()  # compiled networks are in cycles of references
            torch.cuda.empty_cache()

    def _fit(
        self, job: GroupJob, stopped: Collection[int], is_preempted: IsPreempted | None
    ) -> Iterator[dict[int, Outcome]]:
        first = job.trials[0]
        set_backends(first.spec)
        if self._images is None:
            self._images = self._training_images(first.spec)
        return fit_group(
            {trial.number: GroupTrial(trial.spec, trial.checkpoints) for trial in job.trials},
            self._data,
            self._source_weights,
            device=self.device,
            images=self._images,
            metric=first.metric,
            health=first.check_health,
            is_preempted=is_preempted,
            stopped=stopped,
        )

    def _training_images(self, spec: TrialSpec) -> TrainingImages:
        is_resident = fits_on_device(
            self._data.nbytes, self.device, spec.data.resident_gb, self._device_share
        )
        return TrainingImages(self._data, self.device, is_resident=is_resident)


def _reported(epochs: Iterator[dict[int, Outcome]]) -> Iterator[dict[int, Outcome]]:
    with crash_reported():
        yield from epochs
