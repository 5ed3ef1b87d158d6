from __future__ import annotations

from pathlib import Path

import pytest
from support.fake_time import fake_time
from support.full_disk import FullDisk

from adaptune import files
from adaptune.training import file_store
from adaptune.training.file_store import FileStore, is_denied


class Flaky:
    """A request that fails a number of times before it succeeds."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    def __call__(self, *_: object) -> dict[str, int]:
        if self.failures:
            self.failures -= 1
            raise OSError("503 Service Unavailable")
        return {"a": 1}


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between retries; the clock advances by them only."""
    pauses: list[float] = []
    fake_time(monkeypatch, file_store, sleep=pauses.append)
    fake_time(monkeypatch, file_store, monotonic=lambda: sum(pauses))
    return pauses


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_files_of_a_path_and_of_a_uri(scheme: str, tmp_path: Path) -> None:
    store = FileStore(f"{scheme}{tmp_path}/folder")
    assert store.sizes() == {}
    store.write("b", b"12345")
    store.write("a", b"")
    store.write("b", b"123")
    assert store.read("b") == b"123"
    assert store.read_once("b") == b"123"
    assert list(store.sizes().items()) == [("a", 0), ("b", 3)]
    assert sorted(file.name for file in (tmp_path / "folder").iterdir()) == ["a", "b"]
    store.rename("b", "c")
    assert store.sizes_once() == {"a": 0, "c": 3}
    with pytest.raises(FileNotFoundError):
        store.rename("b", "c")
    for _ in range(2):
        store.delete("c")
    assert store.sizes_once() == {"a": 0}


def test_the_full_name_leaves_the_options_of_a_uri_out(tmp_path: Path) -> None:
    assert FileStore(f"file://{tmp_path}").full_name("a") == f"{tmp_path}/a"
    uri = "s3://key:secret@bucket/folder?region=eu-west-1&endpoint_override=localhost:1"
    assert FileStore(uri).full_name("a") == "bucket/folder/a"


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("/results/a?b", "/results/a?b"),
        ("s3://key:secret@bucket/a?region=eu&endpoint_override=localhost:1", "s3://bucket/a"),
        ("gs://bucket/a", "gs://bucket/a"),
    ],
)
def test_messages_hold_no_credentials(path: str, address: str) -> None:
    assert FileStore(path).address == address


@pytest.mark.parametrize("torn", [False, True])
def test_a_failed_write_leaves_the_old_file_and_no_part(
    torn: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FileStore(str(tmp_path))
    store.write("a", b"old")
    with monkeypatch.context() as patch:
        patch.setattr(FileStore, "_open", lambda self: (FullDisk(torn), self.path))
        with pytest.raises(OSError, match="No space left"):
            store.write("a", b"new")
    assert store.read("a") == b"old"
    assert list(store.sizes()) == ["a"]


def test_a_failed_write_to_a_local_disk_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    store = FileStore(str(tmp_path))
    store.write("a", b"old")
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            store.write("a", b"new")
    assert store.read("a") == b"old"
    assert list(store.sizes()) == ["a"]


def test_a_file_of_several_parts(tmp_path: Path) -> None:
    store = FileStore(str(tmp_path))
    store.write("a", b"12", b"", b"345")
    assert store.read("a") == b"12345"


def test_drafts_are_removed_and_what_cannot_be_removed_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = FileStore(str(tmp_path))
    for name in ("a", ".a.01234567.part", "b.part"):
        store.write(name, b"1")
    store.remove_drafts(store.sizes())
    assert list(store.sizes()) == ["a"]

    def deny(*_: object) -> None:
        raise PermissionError("Permission denied")

    monkeypatch.setattr(FileStore, "delete", deny)
    store.remove_drafts(["c.part"])
    assert f"draft {tmp_path}/c.part not removed: Permission denied" in caplog.text


@pytest.mark.parametrize(
    ("error", "denied"),
    [
        (PermissionError(13, "Permission denied"), True),
        (OSError("AWS Error ACCESS_DENIED during ListObjectsV2 operation: Access Denied"), True),
        (OSError("google::cloud::Status(PERMISSION_DENIED: no access)"), True),
        (OSError("AWS Error UNKNOWN (HTTP status 403) during HeadObject operation"), True),
        (OSError("AWS Error UNKNOWN (HTTP status 503) during HeadObject operation"), False),
        (FileNotFoundError(2, "No such file"), False),
    ],
)
def test_denied_access_is_no_outage(error: OSError, denied: bool, pauses: list[float]) -> None:
    assert is_denied(error) is denied

    def fail(*_: object) -> None:
        raise error

    store = FileStore("s3://bucket/folder")
    with pytest.raises(OSError):  # noqa: PT011
        store._retry(fail)
    assert bool(pauses) is not (denied or isinstance(error, FileNotFoundError))


def test_a_missing_file_is_no_reason_to_retry(pauses: list[float]) -> None:
    with pytest.raises(FileNotFoundError):
        FileStore("file:///nowhere").read("a")
    assert pauses == []


def test_a_remote_store_is_asked_again_after_growing_pauses(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(FileStore, "sizes_once", Flaky(failures=7))
    assert FileStore("s3://bucket/folder").sizes() == {"a": 1}
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    assert "s3://bucket/folder does not answer (503 Service Unavailable)" in caplog.text


def test_a_remote_store_is_given_up_after_five_minutes(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FileStore, "sizes_once", Flaky(failures=1000))
    with pytest.raises(OSError, match="503"):
        FileStore("s3://bucket/folder").sizes()
    assert 270 < sum(pauses) <= 300


def test_a_local_folder_is_asked_only_once(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FileStore, "sizes_once", Flaky(failures=1))
    with pytest.raises(OSError, match="503"):
        FileStore("/folder").sizes()
    assert pauses == []
