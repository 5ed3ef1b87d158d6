"""The lane of one worker: the process that owns it."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from adaptune.data.splits import TrialData
from adaptune.execution.job import Job, LaneSettings, records_of
from adaptune.training.loop import Record
from adaptune.training.state import Weights


class InProcessLane:
    """See `Lane`."""

    def __init__(self, settings: LaneSettings, data: TrialData, source_weights: Weights) -> None:
        torch.set_num_threads(settings.cpus_per_worker)
        self._data = data
        self._source_weights = source_weights
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._records: Iterator[Record] = iter(())

    def begin(self, job: Job) -> None:
        self._records = records_of(job, self._data, self._source_weights, self._device)

    def next_record(self) -> Record | None:
        return next(self._records, None)

    def stop(self) -> None:
        self._records = iter(())
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def close(self) -> None:
        self.stop()
