"""The lane of one worker: the process that owns it."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from adaptune.data.splits import TrialData
from adaptune.execution.job import Bench, Job, LaneSettings
from adaptune.training.loop import Record
from adaptune.training.state import Weights


class InProcessLane:
    """See `Lane`."""

    def __init__(self, settings: LaneSettings, data: TrialData, source_weights: Weights) -> None:
        torch.set_num_threads(settings.cpus_per_worker)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._bench = Bench(data, source_weights, device)
        self._records: Iterator[Record] = iter(())

    def begin(self, job: Job) -> None:
        self._records = self._bench.records(job)

    def next_record(self) -> Record | None:
        return next(self._records, None)

    def stop(self) -> None:
        self._records = iter(())
        self._bench.clear()

    def close(self) -> None:
        self.stop()
