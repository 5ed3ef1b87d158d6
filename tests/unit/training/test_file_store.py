from __future__ import annotations

from pathlib import Path

import pytest
from support.full_disk import FullDisk

from adaptune.training import file_store
from adaptune.training.file_store import FileStore


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
    monkeypatch.setattr(file_store.time, "sleep", pauses.append)
    monkeypatch.setattr(file_store.time, "monotonic", lambda: sum(pauses))
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
    for _ in range(2):
        store.delete("b")
    assert store.sizes_once() == {"a": 0}


def test_the_full_name_leaves_the_options_of_a_uri_out(tmp_path: Path) -> None:
    assert FileStore(f"file://{tmp_path}").full_name("a") == f"{tmp_path}/a"
    uri = "s3://key:secret@bucket/folder?region=eu-west-1&endpoint_override=localhost:1"
    assert FileStore(uri).full_name("a") == "bucket/folder/a"


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
