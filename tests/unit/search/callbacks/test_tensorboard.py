"""TensorBoard events."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.fake_search import make_record
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import RecordWriter

from adaptune.search.callbacks.tensorboard import TensorBoardWriter


def read(folder: Path) -> dict[str, tuple[int, float]]:
    """Tag → step and value, by the format's own framing: length, checksum, event, checksum."""
    (file,) = folder.iterdir()
    data, found = file.read_bytes(), {}
    while data:
        size = int.from_bytes(data[:8], "little")
        event, data = Event.FromString(data[12 : 12 + size]), data[16 + size :]
        found |= {value.tag: (event.step, value.simple_value) for value in event.summary.value}
    return found


def test_each_number_of_a_record_is_a_scalar_of_its_epoch(tmp_path: Path) -> None:
    events = TensorBoardWriter(tmp_path / "3")
    events.add(make_record(2, 0.75))
    assert read(tmp_path / "3")["target_val_accuracy"] == (2, 0.75)
    events.close()


def test_a_full_disk_is_an_error_and_not_a_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: RecordWriter) -> None:
        raise OSError(28, "No space left on device")

    events = TensorBoardWriter(tmp_path)
    with monkeypatch.context() as disk:
        disk.setattr(RecordWriter, "flush", full)
        for epoch in range(1, 20):  # more than SummaryWriter's queue holds
            with pytest.raises(OSError, match="No space left"):
                events.add(make_record(epoch, 0.5))
    events.close()
