from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from support.fake_time import fake_time
from support.full_disk import FullDisk
from support.object_store import ObjectStore, running_store
from support.tiny_trial import (
    make_record,
    make_spec,
    make_state,
    restore,
    save,
    save_epochs,
    save_mid_epoch,
)

from adaptune.errors import CheckpointError, WorkersLostError
from adaptune.results.folder import join_uri
from adaptune.training import file_store
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.checkpoint_format import ResumePoint, Snapshot, encode
from adaptune.training.file_store import FileStore
from adaptune.training.record import EpochRecord
from adaptune.training.state import TrainingState

Fit = Callable[..., list[EpochRecord]]


@pytest.fixture
def state() -> TrainingState:
    return make_state(make_spec())


def truncate(folder: CheckpointFolder, epoch: int, fraction: float = 0.5) -> None:
    file = Path(folder.path) / f"epoch-{epoch:04d}.pt"
    size = int(file.stat().st_size * fraction)
    file.write_bytes(file.read_bytes()[:size])


def test_nothing_to_restore(tmp_path: Path, state: TrainingState) -> None:
    assert restore(CheckpointFolder(str(tmp_path / "missing")), state) == ResumePoint()


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_restores_the_newest_from_a_path_or_a_uri(
    scheme: str, tmp_path: Path, state: TrainingState
) -> None:
    folder = CheckpointFolder(f"{scheme}{tmp_path}/trial")
    save_epochs(folder, state, 1, 2)
    other = make_state(make_spec())
    assert restore(folder, other) == ResumePoint(make_record(2))
    assert other.step == 20


@pytest.mark.parametrize("fraction", [0.5, 0.0, 0.99])
def test_truncated_newest_falls_back_to_the_one_before(
    fraction: float, tmp_path: Path, state: TrainingState, caplog: pytest.LogCaptureFixture
) -> None:
    folder = CheckpointFolder(str(tmp_path))
    save_epochs(folder, state, 1, 2)
    truncate(folder, 2, fraction)
    assert restore(folder, state).record == make_record(1)
    assert state.step == 10
    assert "damaged; trying the one before" in caplog.text


def test_a_damaged_and_a_missing_checkpoint_are_errors(
    tmp_path: Path, state: TrainingState
) -> None:
    folder = CheckpointFolder(str(tmp_path))
    save_epochs(folder, state, 1)
    truncate(folder, 1)
    with pytest.raises(CheckpointError, match=r"epoch-0001\.pt is damaged"):
        folder.load(1)
    with pytest.raises(CheckpointError, match=r"cannot read checkpoint .*epoch-0007\.pt"):
        folder.load(7)


@pytest.mark.parametrize("torn", [False, True])
def test_a_full_disk_keeps_the_older_checkpoints_and_training_continues(
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
        patch.setattr(FileStore, "_open", lambda self: (FullDisk(torn), self.path))
        assert [record.epoch for record in run_fit(spec, folder)] == [1, 2, 3]
    assert "epoch-0003.pt not written" in caplog.text
    assert "No space left" in caplog.text
    assert sorted(file.name for file in tmp_path.iterdir()) == ["epoch-0001.png", "epoch-0001.pt"]
    assert [record.epoch for record in run_fit(spec, folder)] == [1, 2, 3]


def test_the_newest_checkpoints_and_the_best_are_kept(tmp_path: Path, state: TrainingState) -> None:
    folder = CheckpointFolder(str(tmp_path), keep=2)
    kept = []
    for epoch, accuracy in enumerate((0.1, 0.5, 0.2, 0.2, 0.2, 0.9, 0.3, 0.3, 0.3), start=1):
        state.update_best(epoch, (accuracy, -1.0))
        save_epochs(folder, state, epoch)
        kept.append(folder.epochs())
    assert kept[4] == [2, 4, 5]
    assert kept[-1] == [6, 8, 9]
    expected = [f"epoch-{epoch:04d}.pt" for epoch in (6, 8, 9)]
    assert sorted(file.name for file in tmp_path.iterdir()) == expected


def test_checkpoints_of_epochs_that_are_not_reached_are_deleted(
    tmp_path: Path, state: TrainingState
) -> None:
    other_trial = CheckpointFolder(str(tmp_path), identity="other")
    save_epochs(other_trial, state, 4, 5)
    save_mid_epoch(other_trial, state, ResumePoint())
    folder = CheckpointFolder(str(tmp_path), identity="ours")
    save_epochs(folder, state, 1, 2)
    assert folder.epochs() == [1, 2]
    assert restore(folder, state) == ResumePoint(make_record(2))


def test_a_checkpoint_of_another_trial_cannot_be_loaded(
    tmp_path: Path, state: TrainingState
) -> None:
    save_epochs(CheckpointFolder(str(tmp_path), identity="first"), state, 1)
    with pytest.raises(CheckpointError, match=r"epoch-0001\.pt belongs to another trial"):
        CheckpointFolder(str(tmp_path), identity="second").load(1)
    same_trial = CheckpointFolder(str(tmp_path), 2, "second", earlier_identities=("first",))
    assert same_trial.load(1)["identity"] == "first"


def test_the_checkpoint_that_has_the_trial_is_loaded_and_the_earliest_one_of_these(
    tmp_path: Path, state: TrainingState
) -> None:
    folders = {}
    for start, identity in enumerate(("first", "second", "second", "third"), start=1):
        folders[identity] = CheckpointFolder(str(tmp_path), identity=identity)
        state.best_epoch = start
        save_epochs(folders[identity], state, 1, 2)
        if identity != "third":
            restore(CheckpointFolder(str(tmp_path), identity="new"), state)
    starts = {name: folder.load(1)["state"]["best_epoch"] for name, folder in folders.items()}
    assert starts == {"first": 1, "second": 2, "third": 4}
    with pytest.raises(CheckpointError, match=r"epoch-0001\.pt belongs to another trial"):
        CheckpointFolder(str(tmp_path), identity="fourth").load(1)
    files = [file for file in folders["first"].files() if file.epoch == 1]
    assert [file.is_earlier for file in files] == [True, True, True, False]


def test_a_mid_epoch_checkpoint_is_the_newest_until_its_epoch_is_complete(
    tmp_path: Path, state: TrainingState
) -> None:
    folder = CheckpointFolder(str(tmp_path))
    save_epochs(folder, state, 1)
    point = ResumePoint(make_record(1), {"task": 0.5}, updates=3)
    state.step = 13
    save_mid_epoch(folder, state, point)
    resumed = make_state(make_spec())
    assert restore(folder, resumed) == point
    assert resumed.step == 13
    assert folder.epochs() == [1]
    save_epochs(folder, state, 2)
    assert restore(folder, resumed) == ResumePoint(make_record(2))


def test_the_files_of_a_trial_are_listed_by_kind_and_removed_by_name(
    tmp_path: Path, state: TrainingState
) -> None:
    folder = CheckpointFolder(str(tmp_path))
    save_epochs(folder, state, 1, 2)
    folder.save_sample_grid(2, b"png")
    save_mid_epoch(folder, state, ResumePoint())
    (tmp_path / ".epoch-0003.pt.5f.part").write_bytes(b"half")
    (tmp_path / "notes.txt").touch()
    files = {file.name: (file.kind, file.epoch) for file in folder.files()}
    assert files == {
        ".epoch-0003.pt.5f.part": ("draft", 0),
        "epoch-0001.pt": ("checkpoint", 1),
        "epoch-0002.pt": ("checkpoint", 2),
        "epoch-0002.png": ("sample grid", 2),
        "mid-epoch.pt": ("mid-epoch", 0),
    }
    sizes = {file.name: file.size_bytes for file in folder.files()}
    assert sizes["epoch-0002.pt"] == (tmp_path / "epoch-0002.pt").stat().st_size
    for _ in range(2):
        folder.remove("epoch-0002.pt")
    assert folder.epochs() == [1]


def test_a_sample_grid_that_cannot_be_read_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = CheckpointFolder(str(tmp_path))
    folder.save_sample_grid(1, b"png")
    assert folder.sample_grid(1) == b"png"
    assert folder.sample_grid(2) is None
    assert "sample grid of epoch 2" in caplog.text


def test_epochs_are_numbers_beyond_four_digits_too(tmp_path: Path, state: TrainingState) -> None:
    folder = CheckpointFolder(str(tmp_path))
    save_epochs(folder, state, 9999, 10000)
    assert folder.epochs() == [9999, 10000]


def test_pools_start_empty_if_the_number_of_workers_changed(tmp_path: Path) -> None:
    spec = make_spec(pool_size=4)
    state = make_state(spec)
    state.pool_source.query(torch.ones(4, 1, 16, 16), torch.Generator())
    folder = CheckpointFolder(str(tmp_path))
    save(folder, state, make_record())
    same = make_state(spec)
    restore(folder, same)
    assert same.pool_source.images is not None

    pools = [state.pools_state()] * 2
    two_workers = encode([Snapshot("", state, ResumePoint(make_record()))], pools)
    FileStore(folder.path).write("epoch-0001.pt", *two_workers)
    other = make_state(spec)
    restore(folder, other)
    assert other.pool_source.images is None


@pytest.fixture
def bucket() -> Iterator[ObjectStore]:
    with running_store() as store:
        yield store


def test_checkpoints_in_an_object_store(bucket: ObjectStore, state: TrainingState) -> None:
    folder = CheckpointFolder(join_uri(bucket.uri, "trial"))
    assert restore(folder, state) == ResumePoint()
    save_epochs(folder, state, 1, 2, 3)
    folder.save_sample_grid(3, b"png")
    other = make_state(make_spec())
    assert restore(folder, other).record == make_record(3)
    assert other.step == 30
    assert [file.epoch for file in folder.files()] == [2, 3, 3]
    assert bucket.files() == {"trial/epoch-0002.pt", "trial/epoch-0003.pt", "trial/epoch-0003.png"}


@pytest.mark.slow
def test_requests_to_a_store_that_fails_for_a_while_are_repeated(
    bucket: ObjectStore,
    state: TrainingState,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = CheckpointFolder(join_uri(bucket.uri, "trial"))
    save_epochs(folder, state, 1)
    bucket.fails = True
    save_epochs(folder, state, 2)  # training continues without it
    assert "epoch-0002.pt not written" in caplog.text
    fake_time(monkeypatch, file_store, sleep=lambda pause_s: setattr(bucket, "fails", False))
    assert restore(folder, state).record == make_record(1)
    assert "does not answer" in caplog.text


@pytest.mark.slow
def test_a_store_that_fails_for_good_is_an_error_after_the_timeout(
    bucket: ObjectStore, state: TrainingState, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = CheckpointFolder(join_uri(bucket.uri, "trial"))
    bucket.fails = True
    monkeypatch.setattr(file_store, "RETRY_TIMEOUT_S", 0.5)
    with pytest.raises(WorkersLostError, match=r"cannot be reached: .*503"):
        restore(folder, state)
