"""The lane of one worker: the process that owns it."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from adaptune.data.splits import TrialData
from adaptune.execution.base import RunnerSettings, TrialJob, WorkerRuntime
from adaptune.training.loop import Record
from adaptune.training.state import Weights


class InProcessRunner:
    """See `TrialRunner`."""

    def __init__(self, settings: RunnerSettings, data: TrialData, source_weights: Weights) -> None:
        torch.set_num_threads(settings.cpus_per_worker)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._runtime = WorkerRuntime(data, source_weights, device)
        self._records: Iterator[Record] = iter(())

    def begin(self, job: TrialJob) -> None:
        self._records = self._runtime.records(job)

    def next_record(self) -> Record | None:
        return next(self._records, None)

    def stop(self) -> None:
        self._records = iter(())
        self._runtime.clear()

    def close(self) -> None:
        self.stop()
