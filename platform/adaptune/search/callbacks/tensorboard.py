"""TensorBoard events of a trial."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.summary import scalar


class TensorBoardWriter:
    """An event file, written as it is told.

    tensorboardX's SummaryWriter leaves the writing to a thread, which dies of a full disk; the next
    event but ten would then wait for it for ever.
    """

    def __init__(self, folder: Path) -> None:
        """Raises OSError where the file cannot be made; so do the methods where it cannot be written."""
        folder.mkdir(parents=True, exist_ok=True)
        self._writer = EventsWriter(str(folder / "events"))

    def add(self, record: Mapping[str, Any]) -> None:
        """A scalar for each number of an epoch's record."""
        for key, value in record.items():
            if isinstance(value, float):
                event = Event(
                    wall_time=time.time(), step=record["epoch"], summary=scalar(key, value)
                )
                self._writer.write_event(event)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()
