"""A trial runner that trains in its own process, with one worker."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import torch

from adaptune.data.splits import TrialData
from adaptune.execution.base import RunnerSettings
from adaptune.execution.runtime import GroupJob, WorkerRuntime
from adaptune.training.loop import Outcome
from adaptune.training.state import StateDict


class InProcessRunner:
    """A `TrialRunner` without Ray Train."""

    def __init__(
        self, settings: RunnerSettings, data: TrialData, source_weights: StateDict
    ) -> None:
        torch.set_num_threads(settings.resources.cpus_per_worker)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._runtime = WorkerRuntime(data, source_weights, device, settings.resources.device_share)
        self._epochs: Iterator[dict[int, Outcome]] = iter(())
        self._stopped: set[int] = set()

    def begin(self, job: GroupJob) -> None:
        """Start the next trials."""
        self._stopped = set()
        self._epochs = self._runtime.outcomes(job, self._stopped)

    def next_outcomes(self, stopped: Collection[int]) -> dict[int, Outcome] | None:
        """Train one more epoch; see `TrialRunner`."""
        self._stopped.update(stopped)
        return next(self._epochs, None)

    def stop(self) -> None:
        """Drop the trials and their memory."""
        self._epochs = iter(())
        self._runtime.release_memory()

    def close(self) -> None:
        """Drop the trials; the process itself stays."""
        self.stop()
