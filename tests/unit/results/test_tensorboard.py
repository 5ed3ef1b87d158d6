from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.event_files import full_disk, read_events, read_pictures
from support.fake_search import make_record, make_search
from tensorboardX.record_writer import RecordWriter

from adaptune.results.tensorboard import TensorBoardWriter
from adaptune.training.optimizers import learning_rates

VALUES = {"loss_weights.cycle": 3.0}


def make_writer(folder: Path, metric: str = "target_val_accuracy", **training: Any) -> Any:
    spec = make_search(training={"epochs": 4} | training).trial({})
    return TensorBoardWriter(folder, spec, VALUES, metric)


def test_each_figure_of_a_record_is_a_scalar_of_its_epoch(tmp_path: Path) -> None:
    writer = make_writer(tmp_path / "3")
    writer.add(make_record(2, 0.75, losses={"cycle": 0.5}))
    values = read_events(tmp_path / "3")
    assert values["target_val_accuracy", 2] == 0.75
    assert values["loss/cycle", 2] == 0.5
    assert ("epoch", 2) not in values
    writer.end()


def test_a_figure_that_is_missing_has_no_scalar(tmp_path: Path) -> None:
    writer = make_writer(tmp_path)
    record = make_record(1, 0.5, target_val_accuracy=None, target_val_loss=None)
    writer.add(record)
    assert ("target_val_accuracy", 1) not in read_events(tmp_path)
    writer.end()


def test_learning_rates_are_those_at_the_end_of_the_epoch(tmp_path: Path) -> None:
    writer = make_writer(tmp_path, lr_decay_from=0.5, generator_lr=0.002)
    for epoch in range(1, 5):
        writer.add(make_record(epoch, 0.5))
    values = read_events(tmp_path)
    rates = [values["learning_rate/generators", epoch] for epoch in range(1, 5)]
    assert rates == pytest.approx([0.002, 0.002, 0.001, 0])
    spec = make_search(training={"epochs": 4, "lr_decay_from": 0.5, "generator_lr": 0.002})
    for name, rate in learning_rates(spec.trial({}), 0.75).items():
        assert values[f"learning_rate/{name}", 3] == pytest.approx(rate)
    writer.end()


def test_a_sample_grid_is_a_small_picture(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("RGB", (2000, 1000), "red").save(file, "png")
    writer = make_writer(tmp_path)
    writer.add(make_record(1, 0.5), file.getvalue())
    writer.add(make_record(2, 0.5), b"damaged")
    [((tag, step), contents)] = read_pictures(tmp_path).items()
    assert (tag, step) == ("translations", 1)
    picture = Image.open(io.BytesIO(contents))
    assert (picture.format, picture.size) == ("JPEG", (662, 331))
    writer.end()


def test_a_full_disk_is_an_error_and_not_a_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = make_writer(tmp_path)
    with monkeypatch.context() as disk:
        disk.setattr(RecordWriter, "flush", full_disk)
        for epoch in range(1, 20):  # more than SummaryWriter's queue holds
            with pytest.raises(OSError, match="No space left"):
                writer.add(make_record(epoch, 0.5))
    writer.end()
