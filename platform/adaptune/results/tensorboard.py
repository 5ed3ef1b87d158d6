"""A TensorBoard event file of a trial."""

from __future__ import annotations

import time
from pathlib import Path

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.summary import scalar

from adaptune.training.record import EpochRecord


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
