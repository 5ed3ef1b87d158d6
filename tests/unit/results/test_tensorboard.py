from __future__ import annotations

from pathlib import Path

import pytest
from support.event_files import full_disk, read_events
from support.fake_search import make_record
from tensorboardX.record_writer import RecordWriter

from adaptune.results.tensorboard import TensorBoardWriter


def test_each_figure_of_a_record_is_a_scalar_of_its_epoch(tmp_path: Path) -> None:
    writer = TensorBoardWriter(tmp_path / "3")
    writer.add(make_record(2, 0.75, losses={"cycle": 0.5}))
    values = read_events(tmp_path / "3")
    assert values["target_val_accuracy", 2] == 0.75
    assert values["loss/cycle", 2] == 0.5
    assert ("epoch", 2) not in values
    writer.close()


def test_a_figure_that_is_missing_has_no_scalar(tmp_path: Path) -> None:
    writer = TensorBoardWriter(tmp_path)
    record = make_record(1, 0.5, target_val_accuracy=None, target_val_loss=None)
    writer.add(record)
    assert ("target_val_accuracy", 1) not in read_events(tmp_path)
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
