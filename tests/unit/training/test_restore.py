from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pyarrow import fs
from support.fake_time import fake_time
from support.object_store import ObjectStore, running_store
from support.tiny_trial import (
    make_record,
    make_spec,
    make_state,
    restore,
    save_epochs,
)
from torch import nn

from adaptune.errors import CheckpointError, WorkersLostError
from adaptune.results.folder import join_uri
from adaptune.training import file_store
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.checkpoint_format import ResumePoint
from adaptune.training.file_store import FileStore
from adaptune.training.record import EpochRecord
from adaptune.training.state import TrainingState

Fit = Callable[..., list[EpochRecord]]


@pytest.fixture
def state() -> TrainingState:
    return make_state(make_spec())


def test_another_trial_in_the_same_folder_starts_from_the_beginning(
    tmp_path: Path, run_fit: Fit, caplog: pytest.LogCaptureFixture
) -> None:
    spec = make_spec(epochs=2)
    other_spec = make_spec(epochs=2, loss_weights={"cycle": 25.0})
    expected = run_fit(other_spec)
    run_fit(spec, CheckpointFolder(str(tmp_path), identity="cycle 10"))
    records = run_fit(other_spec, CheckpointFolder(str(tmp_path), identity="cycle 25"))
    assert [record.losses for record in records] == [record.losses for record in expected]
    assert "epoch-0002.pt belongs to another trial" in caplog.text
    assert "none of the 2 checkpoints" in caplog.text


def test_checkpoints_of_others_are_set_aside_before_training_starts_again(
    tmp_path: Path, state: TrainingState
) -> None:
    def start(identity: str) -> list[str]:
        folder = CheckpointFolder(str(tmp_path), identity=identity)
        assert restore(folder, state) == ResumePoint()
        names = sorted(file.name for file in tmp_path.iterdir())
        save_epochs(folder, state, 1, 2)
        return names

    assert start("first f_S") == []
    (tmp_path / "epoch-0001.pt").write_bytes(b"damaged")
    assert start("second f_S") == ["epoch-0001.pt", "epoch-0002.earlier-1.pt"]
    assert start("third f_S") == [
        "epoch-0001.earlier-2.pt",
        "epoch-0002.earlier-1.pt",
        "epoch-0002.earlier-2.pt",
    ]
    resumed = CheckpointFolder(str(tmp_path), identity="third f_S")
    assert restore(resumed, state) == ResumePoint(make_record(2))
    assert resumed.epochs() == [1, 2]


def test_training_does_not_start_again_over_checkpoints_that_cannot_be_renamed(
    tmp_path: Path, state: TrainingState, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("Input/output error")

    save_epochs(CheckpointFolder(str(tmp_path), identity="first f_S"), state, 1)
    monkeypatch.setattr(FileStore, "rename", refuse)
    with pytest.raises(WorkersLostError, match=r"cannot be reached: Input/output error"):
        restore(CheckpointFolder(str(tmp_path), identity="second f_S"), state)


@pytest.mark.parametrize("size", [0, 16, 5000])
def test_a_trial_whose_checkpoints_are_all_damaged_starts_again(
    size: int, tmp_path: Path, run_fit: Fit, caplog: pytest.LogCaptureFixture
) -> None:
    spec = make_spec(epochs=3)
    folder = CheckpointFolder(str(tmp_path))
    run_fit(spec, folder, stop_after=2)
    for file in tmp_path.glob("*.pt"):
        file.write_bytes(file.read_bytes()[:size])
    assert [record.epoch for record in run_fit(spec, folder)] == [1, 2, 3]
    assert "training starts again" in caplog.text
    assert folder.epochs() == [2, 3]


def test_a_trial_whose_checkpoints_have_another_format_starts_again(
    tmp_path: Path, state: TrainingState
) -> None:
    body = b"of a version to come"
    FileStore(str(tmp_path)).write("epoch-0001.pt", hashlib.sha256(body).digest(), body)
    assert restore(CheckpointFolder(str(tmp_path)), state) == ResumePoint()
    assert state.step == 0


def test_a_network_that_has_changed_fails_clearly(tmp_path: Path, state: TrainingState) -> None:
    folder = CheckpointFolder(str(tmp_path))
    save_epochs(folder, state, 1, 2)
    changed = make_state(make_spec())
    changed.networks.g_st.add_module("more", nn.Linear(1, 1))
    with pytest.raises(
        CheckpointError,
        match=r"epoch-0002\.pt does not fit this version .*more\.weight.*versions that wrote it",
    ):
        restore(folder, changed)


def test_too_little_memory_is_not_taken_for_another_version(
    tmp_path: Path, state: TrainingState, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    folder = CheckpointFolder(str(tmp_path))
    save_epochs(folder, state, 1)
    monkeypatch.setattr(TrainingState, "load_state_dict", no_memory)
    with pytest.raises(torch.OutOfMemoryError):
        restore(folder, state)


def test_drafts_that_a_kill_left_are_removed(tmp_path: Path, state: TrainingState) -> None:
    folder = CheckpointFolder(str(tmp_path))
    save_epochs(folder, state, 1)
    (tmp_path / ".epoch-0002.pt.01234567.part").write_bytes(b"half")
    (tmp_path / "epoch-0003.pt.part").write_bytes(b"half, of an object store")
    restore(folder, state)
    assert [file.name for file in tmp_path.iterdir()] == ["epoch-0001.pt"]


def test_a_local_file_that_cannot_be_read_is_passed_over(
    tmp_path: Path, state: TrainingState, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = CheckpointFolder(str(tmp_path))
    save_epochs(folder, state, 1, 2)
    read_once = FileStore.read_once

    def bad_sector(files: FileStore, name: str) -> bytes:
        if name == "epoch-0002.pt":
            raise OSError("Input/output error")
        return read_once(files, name)

    monkeypatch.setattr(FileStore, "read_once", bad_sector)
    assert restore(folder, state).record == make_record(1)


@pytest.mark.parametrize("method", ["sizes_once", "read_once"])
def test_denied_access_is_an_error_at_once(
    method: str, tmp_path: Path, state: TrainingState, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(*_: object) -> None:
        raise PermissionError("Permission denied")

    folder = CheckpointFolder(str(tmp_path))
    save_epochs(folder, state, 1)
    monkeypatch.setattr(FileStore, method, deny)
    with pytest.raises(CheckpointError, match="Permission denied; allow reading and listing"):
        restore(folder, state)


@pytest.fixture
def bucket() -> Iterator[ObjectStore]:
    with running_store() as store:
        yield store


def deny_all(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    body = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    if environ["REQUEST_METHOD"] == "HEAD":
        body = b""
    start_response("403 Forbidden", [("Content-Length", str(len(body)))])
    return [body]


def test_a_bucket_that_denies_access_is_not_asked_again(
    bucket: ObjectStore, state: TrainingState, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = CheckpointFolder(join_uri(bucket.uri, "trial"))
    save_epochs(folder, state, 1)
    pauses: list[float] = []
    fake_time(monkeypatch, file_store, sleep=pauses.append)
    monkeypatch.setattr(bucket, "_moto", deny_all)
    with pytest.raises(CheckpointError, match="allow reading and listing"):
        restore(folder, state)
    save_epochs(folder, state, 2)  # neither written nor pruned
    assert pauses == []


def test_a_bucket_without_listing_does_not_delay_an_epoch(
    bucket: ObjectStore,
    state: TrainingState,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def deny(*_: object) -> None:
        raise OSError("503 Service Unavailable")

    folder = CheckpointFolder(join_uri(bucket.uri, "trial"))
    pauses: list[float] = []
    fake_time(monkeypatch, file_store, sleep=pauses.append)
    monkeypatch.setattr(FileStore, "sizes_once", deny)
    save_epochs(folder, state, 1)
    assert pauses == []
    assert "old checkpoints" in caplog.text
    assert "trial/epoch-0001.pt" in bucket.files()


def test_one_worker_that_cannot_list_the_folder_may_be_replaced(
    state: TrainingState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stale(*_: object) -> None:
        raise OSError("Stale file handle")

    monkeypatch.setattr(FileStore, "sizes_once", stale)
    with pytest.raises(WorkersLostError, match=r"cannot be reached: Stale file handle"):
        restore(CheckpointFolder(str(tmp_path)), state)


def test_checkpoints_of_others_are_set_aside_in_a_bucket(
    bucket: ObjectStore, state: TrainingState
) -> None:
    first = CheckpointFolder(join_uri(bucket.uri, "trial"), identity="first f_S")
    save_epochs(first, state, 1)
    second = CheckpointFolder(first.path, identity="second f_S")
    assert restore(second, state) == ResumePoint()
    assert bucket.files() == {"trial/epoch-0001.earlier-1.pt"}
    assert first.load(1)["identity"] == "first f_S"


def test_a_bucket_keeps_its_other_files_when_drafts_are_removed(bucket: ObjectStore) -> None:
    store, prefix = fs.FileSystem.from_uri(bucket.uri)
    for name in ("epoch-0001.png", "epoch-0001.pt.part"):
        with store.open_output_stream(f"{prefix}/trial/{name}") as file:
            file.write(b"1")
    state = make_state(make_spec())
    restore(CheckpointFolder(join_uri(bucket.uri, "trial")), state)
    assert bucket.files() == {"trial/epoch-0001.png"}
