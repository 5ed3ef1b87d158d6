"""The interface of a trial runner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import ray

from adaptune.data.splits import TrialData
from adaptune.execution.runtime import TrialJob
from adaptune.spec.resources import EPOCH_TIMEOUT_S, WorkerResources
from adaptune.training.record import EpochRecord
from adaptune.training.state import StateDict


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
        epoch_timeout_s: `resources.epoch_timeout_s`.
    """

    name: str
    resources: WorkerResources
    scratch: str
    epoch_timeout_s: float = EPOCH_TIMEOUT_S


class TrialRunner(Protocol):
    """A worker group that stays alive and runs one trial after another, for one thread."""

    def begin(self, job: TrialJob) -> None:
        """Start the next trial; the previous one has ended or was stopped."""

    def next_record(self) -> EpochRecord | None:
        """Train one more epoch and return its record, or None if the trial has no more epochs.

        Raises:
            NonFiniteLossError, CheckpointError: the trial failed; the runner can start another.
            TrialCrashedError: the trial failed; the runner can only be closed.
            WorkersLostError: the workers are gone or about to go; the runner can only be closed.
        """

    def stop(self) -> None:
        """End the trial after the epoch that was requested last.

        Raises:
            WorkersLostError: the workers are gone, or do not answer in time.
        """

    def close(self) -> None:
        """Shut the workers down and leave nothing of them on the cluster."""
