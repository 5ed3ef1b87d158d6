"""A trial runner that trains in its own process, with one worker."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from adaptune.data.splits import TrialData
from adaptune.execution.base import RunnerSettings
from adaptune.execution.runtime import TrialJob, WorkerRuntime
from adaptune.training.record import EpochRecord
from adaptune.training.state import StateDict


class InProcessRunner:
    """A `TrialRunner` without Ray Train."""

    def __init__(
        self, settings: RunnerSettings, data: TrialData, source_weights: StateDict
    ) -> None:
        torch.set_num_threads(settings.resources.cpus_per_worker)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._runtime = WorkerRuntime(data, source_weights, device, settings.resources.device_share)
        self._records: Iterator[EpochRecord] = iter(())

    def begin(self, job: TrialJob) -> None:
        """Start the next trial."""
        self._records = self._runtime.records(job)

    def next_record(self) -> EpochRecord | None:
        """Train one more epoch; see `TrialRunner`."""
        return next(self._records, None)

    def stop(self) -> None:
        """Drop the trial and its memory."""
        self._records = iter(())
        self._runtime.release_memory()

    def close(self) -> None:
        """Drop the trial; the process itself stays."""
        self.stop()
