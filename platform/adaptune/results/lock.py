"""The lock that keeps a second driver out of a results folder."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from adaptune.errors import ResultsError
from adaptune.results.folder import ResultsFolder

LOCK_NAME = ".driver"
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)
_TRIES = 5
_PAUSE_S = 0.1


@contextmanager
def driver_lock(folder: ResultsFolder) -> Iterator[bool]:
    """Hold the folder's lock; the lock of a killed driver ends with its process.

    Yields:
        False if the file system has no locks.

    Raises:
        ResultsError: another driver holds the lock, or its file cannot be used.
    """
    path = folder.path / LOCK_NAME
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ResultsError(f"{path} is a link, not the lock of a driver: delete it") from error
        raise _unusable(path, error) from error
    try:
        yield _lock(file, path)
    finally:
        os.close(file)


def is_in_use(folder: ResultsFolder) -> bool | None:
    """Return whether a driver holds the folder's lock; None if the file system has no locks."""
    try:
        file = os.open(folder.path / LOCK_NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(file)
    return False


def _unusable(path: Path, error: OSError) -> ResultsError:
    return ResultsError(f"cannot lock {path}: {error.strerror}")


def no_lock_warning(folder: ResultsFolder) -> str:
    """Return the warning about a file system without locks."""
    return (
        f"warning: the file system of {folder.path} has no locks; nothing keeps a second driver out"
        " of this folder"
    )


def _lock(file: int, path: Path) -> bool:
    is_locked = True
    try:
        _acquire(file)
    except BlockingIOError:
        holder = os.read(file, 500).decode(errors="replace") or "another process"
        raise ResultsError(_locked_message(path, holder)) from None
    except OSError as error:
        # Some clusters' file systems have no locks: a search without one is better than none.
        if error.errno not in _NO_LOCKS:
            raise _unusable(path, error) from error
        is_locked = False
    with suppress(OSError):  # a full disk: the holder's name is only for the message above
        os.truncate(file, 0)
        os.write(file, f"process {os.getpid()} on {socket.gethostname()}".encode())
    return is_locked


def _acquire(file: int) -> None:
    """Take the lock in several tries, because `is_in_use` holds it for a moment."""
    for _ in range(_TRIES - 1):
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(_PAUSE_S)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _locked_message(path: Path, holder: str) -> str:
    message = (
        f"{path.parent} is in use by {holder}: wait for it, stop it, or give this search another"
        " --name"
    )
    _, _, machine = holder.partition(" on ")
    if machine and machine != socket.gethostname():
        # Some file systems keep the lock of a machine that died.
        message += f"; if {machine} is gone, delete {path}"
    return message
