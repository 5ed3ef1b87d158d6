from __future__ import annotations

from pathlib import Path

import pytest

from adaptune.errors import ResultsError
from adaptune.results.remote_journal import MAX_PARTS, RemoteJournal
from adaptune.training.file_store import FileStore


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "study.journal"


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return (tmp_path / "store").as_uri()


def parts(tmp_path: Path) -> dict[str, bytes]:
    folder = tmp_path / "store" / "study.journal"
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def grow(journal: Path, line: bytes) -> int:
    with journal.open("ab") as file:
        file.write(line)
    return journal.stat().st_size


def test_each_upload_adds_a_part_with_the_new_bytes(
    journal: Path, uri: str, tmp_path: Path
) -> None:
    remote = RemoteJournal(uri)
    assert remote.size() == 0
    remote.append(journal, grow(journal, b"one\n"))
    remote.append(journal, grow(journal, b"three\n"))
    remote.append(journal, journal.stat().st_size)
    assert parts(tmp_path) == {"000000000000": b"one\n", "000000000004": b"three\n"}
    assert RemoteJournal(uri).read() == b"one\nthree\n"


def test_bytes_after_the_given_end_are_not_uploaded(journal: Path, uri: str) -> None:
    end = grow(journal, b"one\n")
    grow(journal, b"rolled ba")
    RemoteJournal(uri).append(journal, end)
    assert RemoteJournal(uri).read() == b"one\n"


def test_the_number_of_parts_is_bounded(journal: Path, uri: str, tmp_path: Path) -> None:
    remote = RemoteJournal(uri)
    counts = []
    for number in range(2 * MAX_PARTS + 3):
        remote.append(journal, grow(journal, b"%d\n" % number))
        counts.append(len(parts(tmp_path)))
    assert max(counts) == MAX_PARTS
    assert counts[-1] == 3
    assert RemoteJournal(uri).read() == journal.read_bytes()


@pytest.mark.parametrize("deleted", range(MAX_PARTS))
def test_a_merge_that_was_broken_off_loses_nothing(
    deleted: int, journal: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = RemoteJournal(uri)
    for number in range(MAX_PARTS):
        remote.append(journal, grow(journal, b"%d\n" % number))
    deletions = 0
    delete = FileStore.delete

    def fail_later(store: FileStore, name: str) -> None:
        nonlocal deletions
        if deletions == deleted:
            raise OSError("the store is gone")
        deletions += 1
        delete(store, name)

    with monkeypatch.context() as patch:
        patch.setattr(FileStore, "delete", fail_later)
        end = grow(journal, b"merged\n")
        if deleted < MAX_PARTS - 1:
            with pytest.raises(OSError, match="the store is gone"):
                remote.append(journal, end)
        else:
            remote.append(journal, end)
    assert RemoteJournal(uri).read() == journal.read_bytes()
    remote.append(journal, grow(journal, b"later\n"))
    assert RemoteJournal(uri).read() == journal.read_bytes()


def test_an_upload_that_failed_is_repeated_from_what_is_there(
    journal: Path, uri: str, tmp_path: Path
) -> None:
    remote = RemoteJournal(uri)
    (tmp_path / "store").write_text("not a folder")
    end = grow(journal, b"one\n")
    with pytest.raises(OSError, match="store"):
        remote.append(journal, end)
    (tmp_path / "store").unlink()
    remote.append(journal, end)
    assert remote.read() == b"one\n"


def test_a_copy_that_is_ahead_is_not_overwritten(journal: Path, uri: str) -> None:
    RemoteJournal(uri).append(journal, grow(journal, b"one\ntwo\n"))
    with pytest.raises(ResultsError, match=r"has 8 bytes, but .* has 4: another driver"):
        RemoteJournal(uri).append(journal, 4)


def test_a_missing_part_is_reported(journal: Path, uri: str, tmp_path: Path) -> None:
    remote = RemoteJournal(uri)
    for line in (b"one\n", b"two\n", b"three\n"):
        remote.append(journal, grow(journal, line))
    (tmp_path / "store" / "study.journal" / "000000000004").unlink()
    with pytest.raises(ResultsError, match="is damaged: bytes 4 to 8 are missing; restore"):
        RemoteJournal(uri).read()


def test_a_deleted_copy_is_empty(journal: Path, uri: str, tmp_path: Path) -> None:
    remote = RemoteJournal(uri)
    remote.append(journal, grow(journal, b"one\n"))
    remote.append(journal, grow(journal, b"two\n"))
    remote.delete()
    assert remote.size() == 0
    assert parts(tmp_path) == {}
