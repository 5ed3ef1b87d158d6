"""The interface of a trial runner."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import ray

from adaptune.data.splits import TrialData
from adaptune.execution.runtime import GroupJob
from adaptune.spec.resources import EPOCH_TIMEOUT_S, WorkerResources
from adaptune.training.loop import Outcome
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
    """A worker group that stays alive and runs one trial group after another, for one thread."""

    def begin(self, job: GroupJob) -> None:
        """Start the next trials; the previous ones have ended or were stopped."""

    def next_outcomes(self, stopped: Collection[int]) -> dict[int, Outcome] | None:
        """Train one more epoch and return its outcome for each trial; None if there is none.

        Args:
            stopped: numbers of the trials that do not continue after their last outcome.

        Raises:
            CheckpointError: the trials failed; the runner can start others.
            TrialCrashedError: the trials failed; the runner can only be closed.
            WorkersLostError: the workers are gone or about to go; the runner can only be closed.
        """

    def stop(self) -> None:
        """End the trials after the epoch that was requested last.

        Raises:
            WorkersLostError: the workers are gone, or do not answer in time.
        """

    def close(self) -> None:
        """Shut the workers down and leave nothing of them on the cluster."""
