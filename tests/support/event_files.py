"""The contents of TensorBoard event files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import RecordWriter


def read_events(folder: Path) -> dict[tuple[str, int], float]:
    """Value of each scalar by tag and step."""
    return {
        (value.tag, event.step): value.simple_value
        for event in events(folder)
        for value in event.summary.value
        if value.HasField("simple_value")
    }


def read_pictures(folder: Path) -> dict[tuple[str, int], bytes]:
    """Contents of each picture by tag and step."""
    return {
        (value.tag, event.step): value.image.encoded_image_string
        for event in events(folder)
        for value in event.summary.value
        if value.HasField("image")
    }


def events(folder: Path) -> Iterator[Event]:
    """Events by the format's own framing: length, checksum, event, checksum."""
    [file] = folder.glob("events*")
    data = file.read_bytes()
    while data:
        size = int.from_bytes(data[:8], "little")
        yield Event.FromString(data[12 : 12 + size])
        data = data[16 + size :]


def full_disk(self: RecordWriter) -> None:
    raise OSError(28, "No space left on device")
