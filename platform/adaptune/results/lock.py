"""The lock that keeps a second driver out of a results folder."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from adaptune.errors import ResultsError
from adaptune.results.folder import ResultsFolder

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)


@contextmanager
def driver_lock(folder: ResultsFolder) -> Iterator[None]:
    """Hold the folder's lock; the lock of a killed driver ends with its process.

    Raises:
        ResultsError: another driver holds the lock.
    """
    path = folder.path / ".driver"
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _lock(file, path)
        yield
    finally:
        os.close(file)


def _lock(file: int, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(file, 500).decode() or "another process"
        raise ResultsError(_locked_message(path, holder)) from None
    except OSError as error:
        # Some clusters' file systems have no locks: a search without one is better than none.
        if error.errno not in _NO_LOCKS:
            raise
    with suppress(OSError):  # a full disk: the holder's name is only for the message above
        os.truncate(file, 0)
        os.write(file, f"process {os.getpid()} on {socket.gethostname()}".encode())


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
