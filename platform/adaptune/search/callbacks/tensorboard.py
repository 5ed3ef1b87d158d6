"""TensorBoard events of each trial."""

from __future__ import annotations

from adaptune.results.folder import ResultsFolder
from adaptune.results.tensorboard import TensorBoardWriter
from adaptune.search.callbacks.base import SearchCallback
from adaptune.search.protocol import TrialConfig
from adaptune.spec.schema import SearchSpec
from adaptune.study.study import SearchStudy
from adaptune.training.record import EpochRecord


class TensorBoardCallback(SearchCallback):
    """Writes the figures of each epoch, and local sample grids, into the folder of its trial."""

    def __init__(self, spec: SearchSpec, study: SearchStudy, folder: ResultsFolder) -> None:
        self._spec, self._study, self._folder = spec, study, folder
        self._writers: dict[int, TensorBoardWriter] = {}

    def on_epoch(self, config: TrialConfig, record: EpochRecord) -> None:
        """Write an epoch."""
        number, values = config.number, config.values
        if number not in self._writers:
            spec, metric = self._spec.trial(values), self._spec.search.metric
            writer = TensorBoardWriter(self._folder.trial(number), spec, values, metric)
            self._writers[number] = writer
        grid = None
        if self._folder.remote is None and self._study.leader(number) == number:
            grid = self._folder.checkpoints(number).sample_grid(record.epoch)
        self._writers[number].add(record, grid)

    def on_trial_end(self, config: TrialConfig) -> None:
        """Close the trial's file."""
        writer = self._writers.pop(config.number, None)
        if writer is not None:
            writer.end()
