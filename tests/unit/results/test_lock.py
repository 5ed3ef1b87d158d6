from __future__ import annotations

import errno
import fcntl
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fake_time import fake_time

from adaptune.errors import ResultsError
from adaptune.results import lock
from adaptune.results.folder import ResultsFolder
from adaptune.results.lock import LOCK_NAME, driver_lock, is_in_use, no_lock_warning

HOLD = """
import sys, time
from pathlib import Path
from adaptune.results.folder import ResultsFolder
from adaptune.results.lock import driver_lock
with driver_lock(ResultsFolder(Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def locked(tmp_path: Path) -> ResultsFolder:
    return ResultsFolder(tmp_path)


@pytest.fixture
def other_driver(locked: ResultsFolder) -> Iterator[subprocess.Popen[bytes]]:
    """Another process, which holds the lock."""
    command = [sys.executable, "-c", HOLD, locked.path]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as driver:
        try:
            assert driver.stdout is not None
            assert driver.stdout.readline() == b"held\n"
            yield driver
        finally:
            driver.kill()


def test_a_driver_starts_while_another_process_asks_whether_one_runs(
    locked: ResultsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (locked.path / LOCK_NAME).open("w") as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        fake_time(monkeypatch, lock, sleep=lambda _: fcntl.flock(asking, fcntl.LOCK_UN))
        with driver_lock(locked) as is_locked:
            assert is_locked
            assert is_in_use(locked)


def test_two_drivers_cannot_share_a_folder(locked: ResultsFolder) -> None:
    message = rf"{locked.path} is in use by process {os.getpid()} on .*: wait for it, stop it, or"
    with (
        driver_lock(locked),
        pytest.raises(ResultsError, match=message) as caught,
        driver_lock(locked),
    ):
        pass
    assert "delete" not in str(caught.value)  # the driver is on this machine
    with driver_lock(locked):  # the first one has ended
        pass


def test_a_running_driver_is_named_and_a_killed_one_leaves_no_lock(
    locked: ResultsFolder, other_driver: subprocess.Popen[bytes]
) -> None:
    with (
        pytest.raises(ResultsError, match=f"in use by process {other_driver.pid} on "),
        driver_lock(locked),
    ):
        pass
    other_driver.kill()
    other_driver.wait()
    with driver_lock(locked):
        pass


def test_a_reader_knows_whether_a_driver_runs(
    locked: ResultsFolder, other_driver: subprocess.Popen[bytes]
) -> None:
    assert is_in_use(locked)
    other_driver.kill()
    other_driver.wait()
    assert is_in_use(locked) is False
    (locked.path / ".driver").unlink()
    assert is_in_use(locked) is False


def test_a_file_system_without_locks_cannot_tell_whether_a_driver_runs(
    locked: ResultsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    with driver_lock(locked):
        monkeypatch.setattr(fcntl, "flock", refuse)
        assert is_in_use(locked) is None


def test_the_lock_of_a_machine_that_is_gone_can_be_deleted(
    locked: ResultsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with driver_lock(locked):
        machine = socket.gethostname()
        monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
        advice = f"if {machine} is gone, delete {locked.path / '.driver'}"
        with pytest.raises(ResultsError, match=re.escape(advice)), driver_lock(locked):
            pass
        (locked.path / ".driver").unlink()
        with driver_lock(locked):
            pass


def test_a_lock_whose_holder_could_not_write_its_name_holds_all_the_same(
    locked: ResultsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int, text: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with (
        driver_lock(locked),
        pytest.raises(ResultsError, match="in use by another process: "),
        driver_lock(locked),
    ):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_without_locks_is_used_without_a_lock(
    number: int, locked: ResultsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with driver_lock(locked) as is_locked:
        assert is_locked
    monkeypatch.setattr(fcntl, "flock", refuse)
    with driver_lock(locked) as is_locked:
        assert not is_locked
    assert str(locked.path) in no_lock_warning(locked)


def test_a_link_in_place_of_the_lock_is_not_followed(locked: ResultsFolder, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (locked.path / ".driver").symlink_to(victim)
    with pytest.raises(ResultsError, match="is a link, not the lock of a driver: delete it"):
        driver_lock(locked).__enter__()
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("function", ["fcntl.flock", "os.open"])
def test_another_error_of_the_file_system_is_reported(
    locked: ResultsFolder, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(f"adaptune.results.lock.{function}", fail)
    message = r"cannot lock .*\.driver: Input/output error"
    with pytest.raises(ResultsError, match=message), driver_lock(locked):
        pass
