from __future__ import annotations

from pathlib import Path

import pytest
from support.fake_search import make_record
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import RecordWriter

from adaptune.results.folder import ResultsFolder
from adaptune.search.callbacks.tensorboard import TensorBoardCallback, TensorBoardWriter
from adaptune.search.protocol import TrialConfig, TrialResult

CONFIG = TrialConfig(3, {})
DONE = TrialResult(done=True)


def read(folder: Path) -> dict[tuple[str, int], float]:
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


def test_each_figure_of_a_record_is_a_scalar_of_its_epoch(tmp_path: Path) -> None:
    writer = TensorBoardWriter(tmp_path / "3")
    writer.add(make_record(2, 0.75, losses={"cycle": 0.5}))
    values = read(tmp_path / "3")
    assert values["target_val_accuracy", 2] == 0.75
    assert values["loss/cycle", 2] == 0.5
    assert ("epoch", 2) not in values
    writer.close()


def test_a_figure_that_is_missing_has_no_scalar(tmp_path: Path) -> None:
    writer = TensorBoardWriter(tmp_path)
    record = make_record(1, 0.5, target_val_accuracy=None, target_val_loss=None)
    writer.add(record)
    assert ("target_val_accuracy", 1) not in read(tmp_path)
    writer.close()


def test_a_full_disk_is_an_error_and_not_a_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = TensorBoardWriter(tmp_path)
    with monkeypatch.context() as disk:
        disk.setattr(RecordWriter, "flush", full_disk)
        for epoch in range(1, 20):  # more than SummaryWriter's queue holds
            with pytest.raises(OSError, match="No space left"):
                writer.add(make_record(epoch, 0.5))
    writer.close()


def test_each_trial_has_its_own_file_until_it_ends(tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path)
    callback = TensorBoardCallback(folder)
    other = TrialConfig(4, {})
    for epoch in (1, 2):
        callback.on_epoch(CONFIG, make_record(epoch, 0.5))
        callback.on_epoch(other, make_record(epoch, 0.75))
    callback.on_trial_end(CONFIG, DONE)
    callback.on_trial_end(other, DONE)
    for number, accuracy in ((3, 0.5), (4, 0.75)):
        values = read(folder.trial(number))
        assert values["target_val_accuracy", 1] == accuracy
        assert values["target_val_accuracy", 2] == accuracy


def test_a_trial_that_ends_without_an_epoch_has_no_file(tmp_path: Path) -> None:
    callback = TensorBoardCallback(ResultsFolder(tmp_path))
    callback.on_trial_end(CONFIG, DONE)
    assert not any(tmp_path.iterdir())


def test_a_full_disk_does_not_end_a_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    callback = TensorBoardCallback(ResultsFolder(tmp_path))
    with monkeypatch.context() as disk:
        disk.setattr(RecordWriter, "flush", full_disk)
        callback.on_epoch(CONFIG, make_record(1, 0.5))
    assert "TensorBoard events failed after trial 3" in caplog.text
    callback.on_epoch(CONFIG, make_record(2, 0.5))  # there is space again
    callback.on_trial_end(CONFIG, DONE)
    assert ("target_val_accuracy", 2) in read(ResultsFolder(tmp_path).trial(3))
