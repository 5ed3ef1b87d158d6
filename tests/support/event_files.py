"""The contents of TensorBoard event files."""

from __future__ import annotations

from pathlib import Path

from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import RecordWriter


def read_events(folder: Path) -> dict[tuple[str, int], float]:
    """Value by tag and step, by the format's own framing: length, checksum, event, checksum."""
    [file] = folder.iterdir()
    data = file.read_bytes()
    values = {}
    while data:
        size = int.from_bytes(data[:8], "little")
        event = Event.FromString(data[12 : 12 + size])
        data = data[16 + size :]
        for value in event.summary.value:
            values[value.tag, event.step] = value.simple_value
    return values


def full_disk(self: RecordWriter) -> None:
    raise OSError(28, "No space left on device")
