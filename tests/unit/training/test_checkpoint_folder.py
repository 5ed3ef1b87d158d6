from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pyarrow import fs
from support.object_store import ObjectStore, running_store
from support.tiny_trial import make_spec, make_state

from adaptune.errors import CheckpointError
from adaptune.results.folder import below
from adaptune.training import checkpoint
from adaptune.training.checkpoint import CheckpointFolder, ResumePoint
from adaptune.training.loop import Record
from adaptune.training.state import TrainingState

Fit = Callable[..., list[Record]]


class FullDisk:
    """The local file system, but writing fails: at once, or after some bytes."""

    def __init__(self, torn: bool) -> None:
        self.local = fs.LocalFileSystem()
        self.torn = torn

    def __getattr__(self, name: str) -> Any:
        return getattr(self.local, name)

    def open_output_stream(self, path: str) -> Any:
        if self.torn:
            Path(path).write_bytes(b"torn")
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def state() -> TrainingState:
    return make_state(make_spec())


def save_epochs(folder: CheckpointFolder, state: TrainingState, *epochs: int) -> None:
    for epoch in epochs:
        state.step = epoch * 10
        folder.save(state, {"epoch": epoch})


def truncate(folder: CheckpointFolder, epoch: int, part: float = 0.5) -> None:
    file = Path(folder.path) / f"epoch-{epoch:04d}.pt"
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * part)])


def test_nothing_to_restore(tmp_path: Path, state: TrainingState) -> None:
    assert CheckpointFolder(str(tmp_path / "never made")).restore(state) == ResumePoint()


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_restores_the_newest_from_a_path_or_a_uri(
    scheme: str, tmp_path: Path, state: TrainingState
) -> None:
    folder = CheckpointFolder(f"{scheme}{tmp_path}/trial")
    save_epochs(folder, state, 1, 2)
    other = make_state(make_spec())
    assert folder.restore(other).record == {"epoch": 2}
    assert other.step == 20


@pytest.mark.parametrize("part", [0.5, 0.0, 0.99])
def test_truncated_newest_falls_back_to_the_one_before(
    part: float, tmp_path: Path, state: TrainingState, caplog: pytest.LogCaptureFixture
) -> None:
    folder = CheckpointFolder(str(tmp_path))
    save_epochs(folder, state, 1, 2)
    truncate(folder, 2, part)
    assert folder.restore(state).record == {"epoch": 1}
    assert state.step == 10
    assert "damaged; trying the one before" in caplog.text


def test_all_damaged_is_an_error(tmp_path: Path, state: TrainingState) -> None:
    folder = CheckpointFolder(str(tmp_path))
    save_epochs(folder, state, 1, 2)
    for epoch in (1, 2):
        truncate(folder, epoch)
    with pytest.raises(CheckpointError, match="none of the 2 checkpoints"):
        folder.restore(state)


def test_one_flipped_bit_and_a_missing_file_are_errors(
    tmp_path: Path, state: TrainingState
) -> None:
    folder = CheckpointFolder(str(tmp_path))
    save_epochs(folder, state, 1)
    file = tmp_path / "epoch-0001.pt"
    raw = bytearray(file.read_bytes())
    raw[1000] ^= 1
    file.write_bytes(raw)
    with pytest.raises(CheckpointError, match="damaged"):
        folder.load(1)
    with pytest.raises(CheckpointError, match="cannot read"):
        folder.load(7)


@pytest.mark.parametrize("torn", [False, True])
def test_a_full_disk_keeps_the_older_ones_and_training_goes_on(
    torn: bool,
    tmp_path: Path,
    run_fit: Fit,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = CheckpointFolder(str(tmp_path))
    spec = make_spec(epochs=3, steps_per_epoch=1)
    run_fit(spec, folder, stop_after=1)
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(CheckpointFolder, "_open", lambda self: (FullDisk(torn), self.path))
        assert [r["epoch"] for r in run_fit(spec, folder)] == [1, 2, 3]
    assert "epoch-0003.pt not written" in caplog.text
    assert "No space left" in caplog.text
    assert sorted(file.name for file in tmp_path.iterdir()) == ["epoch-0001.png", "epoch-0001.pt"]
    assert [r["epoch"] for r in run_fit(spec, folder)] == [1, 2, 3]


def test_prune_keeps_the_newest_and_the_best(tmp_path: Path, state: TrainingState) -> None:
    folder = CheckpointFolder(str(tmp_path), keep=2)
    kept = []
    for epoch, accuracy in enumerate((0.1, 0.5, 0.2, 0.2, 0.2, 0.9, 0.3, 0.3, 0.3), start=1):
        state.note_score(epoch, (accuracy, -1.0))
        save_epochs(folder, state, epoch)
        kept.append(folder.epochs())
    assert kept[4] == [2, 4, 5]
    assert kept[-1] == [6, 8, 9]
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        f"epoch-{e:04d}.pt" for e in (6, 8, 9)
    ]


def test_epochs_are_numbers_beyond_four_digits_too(tmp_path: Path, state: TrainingState) -> None:
    folder = CheckpointFolder(str(tmp_path))
    save_epochs(folder, state, 9999, 10000)
    assert folder.epochs() == [9999, 10000]


def test_pools_fill_anew_where_the_number_of_workers_changed(tmp_path: Path) -> None:
    spec = make_spec(pool_size=4)
    state = make_state(spec)
    state.pool_source.query(torch.ones(4, 1, 16, 16), torch.Generator())
    folder = CheckpointFolder(str(tmp_path))
    folder.save(state, {"epoch": 1})
    same = make_state(spec)
    folder.restore(same)
    assert same.pool_source.images is not None

    saved = folder.load(1)
    saved["pools"] *= 2
    other = make_state(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CheckpointFolder, "_load", lambda *_: saved)
        folder.restore(other)
    assert other.pool_source.images is None


@pytest.fixture
def bucket() -> Iterator[ObjectStore]:
    with running_store() as store:
        yield store


def test_an_object_store_holds_checkpoints_as_a_folder_does(
    bucket: ObjectStore, state: TrainingState
) -> None:
    folder = CheckpointFolder(below(bucket.uri, "trial"))
    assert folder.restore(state) == ResumePoint()
    save_epochs(folder, state, 1, 2, 3)
    folder.save_picture(3, b"png")
    other = make_state(make_spec())
    assert folder.restore(other).record == {"epoch": 3}
    assert other.step == 30
    assert folder.sizes().keys() == {2, 3}
    assert bucket.files() == {"trial/epoch-0002.pt", "trial/epoch-0003.pt", "trial/epoch-0003.png"}


@pytest.mark.slow
def test_a_store_that_fails_for_a_while_is_asked_again(
    bucket: ObjectStore,
    state: TrainingState,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = CheckpointFolder(below(bucket.uri, "trial"))
    save_epochs(folder, state, 1)
    bucket.fails = True
    save_epochs(folder, state, 2)  # training goes on without it
    assert "epoch-0002.pt not written" in caplog.text
    monkeypatch.setattr(checkpoint.time, "sleep", lambda pause_s: setattr(bucket, "fails", False))
    assert folder.restore(state).record == {"epoch": 1}
    assert "does not answer" in caplog.text


@pytest.mark.slow
def test_a_store_that_fails_for_good_ends_the_waiting(
    bucket: ObjectStore, state: TrainingState, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = CheckpointFolder(below(bucket.uri, "trial"))
    bucket.fails = True
    monkeypatch.setattr(checkpoint, "PATIENCE_S", 0.5)
    with pytest.raises(OSError, match=r"503"):
        folder.restore(state)
