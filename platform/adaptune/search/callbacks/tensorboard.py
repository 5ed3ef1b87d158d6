"""TensorBoard events of each trial."""

from __future__ import annotations

from adaptune.results.folder import ResultsFolder
from adaptune.results.tensorboard import TensorBoardWriter
from adaptune.search.callbacks.base import SearchCallback
from adaptune.search.protocol import TrialConfig
from adaptune.training.record import EpochRecord


class TensorBoardCallback(SearchCallback):
    """Writes the figures of each epoch as scalars into the folder of its trial."""

    def __init__(self, folder: ResultsFolder) -> None:
        self._folder = folder
        self._writers: dict[int, TensorBoardWriter] = {}

    def on_epoch(self, config: TrialConfig, record: EpochRecord) -> None:
        """Write the scalars of an epoch."""
        number = config.number
        if number not in self._writers:
            self._writers[number] = TensorBoardWriter(self._folder.trial(number))
        self._writers[number].add(record)

    def on_trial_end(self, config: TrialConfig) -> None:
        """Close the trial's file."""
        writer = self._writers.pop(config.number, None)
        if writer is not None:
            writer.close()
