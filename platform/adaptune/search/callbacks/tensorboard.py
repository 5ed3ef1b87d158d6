"""TensorBoard events of each trial."""

from __future__ import annotations

import time
from pathlib import Path

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.summary import scalar

from adaptune.results.folder import ResultsFolder
from adaptune.search.callbacks.base import SearchCallback, logged_disk_errors
from adaptune.search.protocol import TrialConfig, TrialResult
from adaptune.training.record import EpochRecord


class TensorBoardCallback(SearchCallback):
    """Writes the figures of each epoch as scalars into the folder of its trial."""

    def __init__(self, folder: ResultsFolder) -> None:
        self._folder = folder
        self._writers: dict[int, TensorBoardWriter] = {}

    def on_epoch(self, config: TrialConfig, record: EpochRecord) -> None:
        """Write the scalars of an epoch."""
        number = config.number
        with logged_disk_errors("TensorBoard events", number):
            if number not in self._writers:
                self._writers[number] = TensorBoardWriter(self._folder.trial(number))
            self._writers[number].add(record)

    def on_trial_end(self, config: TrialConfig, result: TrialResult) -> None:
        """Close the trial's file."""
        writer = self._writers.pop(config.number, None)
        if writer is not None:
            with logged_disk_errors("TensorBoard events", config.number):
                writer.close()


class TensorBoardWriter:
    """An event file that is written in the calling thread.

    tensorboardX's SummaryWriter writes in a thread of its own. A full disk ends that thread, and a
    later event waits for it for ever.
    """

    def __init__(self, folder: Path) -> None:
        """Create the file.

        Raises:
            OSError: it cannot be created; the methods raise it if it cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._writer = EventsWriter(str(folder / "events"))

    def add(self, record: EpochRecord) -> None:
        """Write one scalar per figure of the record."""
        for name, value in record.flat().items():
            if isinstance(value, float):
                summary = scalar(name, value)
                event = Event(wall_time=time.time(), step=record.epoch, summary=summary)
                self._writer.write_event(event)
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()
