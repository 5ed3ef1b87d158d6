from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adaptune import files
from adaptune.files import (
    append_to_file,
    make_folder,
    remove_drafts,
    remove_file,
    rename,
    write_file,
)


class FailingOs:
    """The module `os`, some of whose functions raise."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        value = getattr(os, name)
        if not callable(value):
            return value

        def call(*arguments: Any) -> Any:
            self.calls.append(name)
            if name in self.names:
                raise OSError(errno.ENOSPC, "No space left on device")
            return value(*arguments)

        return call


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_parts_become_the_contents_of_the_file(tmp_path: Path) -> None:
    write_file(tmp_path / "a", b"one", b"", b"two")
    assert (tmp_path / "a").read_bytes() == b"onetwo"
    assert names(tmp_path) == ["a"]


def test_the_file_has_the_permissions_of_the_umask(tmp_path: Path) -> None:
    previous = os.umask(0o027)
    try:
        write_file(tmp_path / "a", b"x")
    finally:
        os.umask(previous)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("function", ["open", "write", "fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    write_file(tmp_path / "a", b"old")
    monkeypatch.setattr(files, "os", FailingOs(function))
    with pytest.raises(OSError, match="No space left"):
        write_file(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_the_contents_are_synced_before_the_name_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = FailingOs("")
    monkeypatch.setattr(files, "os", recorder)
    write_file(tmp_path / "a", b"new")
    calls = [call for call in recorder.calls if call in ("write", "fsync", "replace")]
    assert calls == ["write", "fsync", "replace", "fsync"]


def test_a_short_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attributes = {name: getattr(os, name) for name in dir(os)}

    def write_two(file: int, body: memoryview) -> int:
        return os.write(file, body[:2])

    monkeypatch.setattr(files, "os", SimpleNamespace(**attributes | {"write": write_two}))
    write_file(tmp_path / "a", b"12345")
    assert (tmp_path / "a").read_bytes() == b"12345"


def test_a_link_of_the_name_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "a").symlink_to("victim")
    write_file(tmp_path / "a", b"new")
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert not (tmp_path / "a").is_symlink()


def test_two_writers_of_one_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    bodies = [bytes([65 + index]) * 100_000 for index in range(4)]

    def write(body: bytes) -> None:
        for _ in range(20):
            write_file(tmp_path / "a", body)

    threads = [threading.Thread(target=write, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "a").read_bytes() in bodies
    assert names(tmp_path) == ["a"]


def test_appended_bytes_follow_the_old_ones(tmp_path: Path) -> None:
    append_to_file(tmp_path / "a", b"one\n")
    append_to_file(tmp_path / "a", b"two\n")
    assert (tmp_path / "a").read_bytes() == b"one\ntwo\n"


@pytest.mark.parametrize("function", ["write", "fsync"])
def test_a_failed_append_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    append_to_file(tmp_path / "a", b"one\n")
    monkeypatch.setattr(files, "os", FailingOs(function))
    with pytest.raises(OSError, match="No space left"):
        append_to_file(tmp_path / "a", b"two\n")
    assert (tmp_path / "a").read_bytes() == b"one\n"


def test_what_a_failed_append_left_is_removed_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_to_file(tmp_path / "a", b"one\n")
    with monkeypatch.context() as patch:
        patch.setattr(files, "os", FailingOs("fsync", "ftruncate"))
        with pytest.raises(OSError, match="No space left"):
            append_to_file(tmp_path / "a", b"two\n", start=4)
    append_to_file(tmp_path / "a", b"three\n", start=4)
    assert (tmp_path / "a").read_bytes() == b"one\nthree\n"


def test_an_append_does_not_follow_a_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "a").symlink_to("victim")
    with pytest.raises(OSError, match="symbolic link"):
        append_to_file(tmp_path / "a", b"x")
    assert (tmp_path / "victim").read_bytes() == b"precious"


def test_a_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_file_in_the_place_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(OSError, match="a"):
        make_folder(tmp_path / "a" / "b")


def test_a_folder_is_renamed_and_the_new_name_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    recorder = FailingOs("")
    monkeypatch.setattr(files, "os", recorder)
    rename(tmp_path / "a", tmp_path / "b")
    assert [call for call in recorder.calls if call in ("rename", "fsync")] == ["rename", "fsync"]
    assert names(tmp_path) == ["b"]


def test_a_file_of_the_name_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "a")


def test_a_folder_that_cannot_be_listed_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attributes = {name: getattr(os, name) for name in dir(os)}

    def open_file(path: Path, flags: int, *mode: int) -> int:
        if flags & os.O_DIRECTORY:
            raise PermissionError
        return os.open(path, flags, *mode)

    monkeypatch.setattr(files, "os", SimpleNamespace(**attributes | {"open": open_file}))
    write_file(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


def test_a_removed_file_need_not_exist(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    remove_file(tmp_path / "a")
    remove_file(tmp_path / "a")
    assert names(tmp_path) == []


def test_drafts_of_a_killed_process_are_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".a.0a1b2c3d.part").write_bytes(b"half")
    (tmp_path / "mine.part").write_bytes(b"")
    (tmp_path / ".driver").write_bytes(b"")
    remove_drafts(tmp_path)
    assert names(tmp_path) == [".driver", "mine.part"]


def test_drafts_below_an_age_are_kept(tmp_path: Path) -> None:
    old = tmp_path / ".a.0a1b2c3d.part"
    young = tmp_path / ".b.0a1b2c3d.part"
    for draft in (old, young):
        draft.write_bytes(b"half")
    hour_ago = time.time() - 3600
    os.utime(old, (hour_ago, hour_ago))
    remove_drafts(tmp_path, min_age_s=1800)
    assert names(tmp_path) == [young.name]
