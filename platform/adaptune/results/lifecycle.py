"""Taking hold of a results folder: for a search, for a resume, or to look at."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from adaptune.errors import ResultsError
from adaptune.results import remote
from adaptune.results.folder import ResultsFolder, folder_of, write_atomically
from adaptune.spec import SearchSpec, dump, fingerprint, load


def begun(spec: SearchSpec) -> bool:
    """Whether a search of this name lies in its results folder, or in the copy of it.

    Raises:
        ResultsError: `storage.remote` does not answer.
    """
    folder = folder_of(spec)
    return folder.spec.exists() or remote.holds(folder)


def claim(spec: SearchSpec, *, resume: bool) -> ResultsFolder:
    """Make or open_existing the results folder of a search.

    Raises:
        ResultsError: there is nothing to resume; a search lies there and `resume` was not said; the
            folder belongs to another spec, holds other files, or is being searched; or it, or `storage.remote`, cannot
            be written.
    """
    folder = folder_of(spec)
    exists = folder.spec.exists()
    if not exists and remote.holds(folder):
        if not resume:
            raise ResultsError(
                f"{folder.remote} holds a search of this name: add --resume to go on with it, or give another --name"
            )
        remote.pull(folder)
        exists = True
    if resume and not exists:
        raise ResultsError(
            f"nothing to resume: {folder.path} holds no search; run it without --resume"
        )
    if exists:
        with exclusive(
            folder
        ):  # whoever is at work there is named first, and search.yaml stays his
            pass
        if fingerprint(load(folder.spec)) != fingerprint(spec):
            raise ResultsError(
                f"{folder.path} holds a search of another spec: compare with its search.yaml,"
                " or give this search another --name"
            )
        if not resume:
            raise ResultsError(
                f"{folder.path} holds this search already: add --resume to go on with it"
                " (a larger --trials extends it), or give another --name"
            )
    try:
        # A search that never begins is removed with its folder, which had better hold nothing else.
        if not exists and folder.path.exists() and any(folder.path.iterdir()):
            raise ResultsError(
                f"{folder.path} holds other files and no search: give this search another --name"
            )
        folder.path.mkdir(parents=True, exist_ok=True)
        write_atomically(folder.spec, dump(spec))
    except OSError as error:
        raise ResultsError(f"cannot write to {folder.path}: {error.strerror}") from error
    try:
        remote.push(folder)
    except (OSError, ValueError) as error:
        if not exists:
            discard(folder)
        raise remote.unreachable(folder, error) from error
    return folder


@contextmanager
def exclusive(folder: ResultsFolder) -> Iterator[None]:
    """Keep a second driver off the folder; a killed one's lock goes with it.

    Raises:
        ResultsError: another driver is at work there.
    """
    path = folder.path / ".driver"
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _lock(lock, path)
        yield
    finally:
        os.close(lock)


def _lock(lock: int, path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 500).decode() or "another process"
        _, _, machine = holder.partition(" on ")
        # Some file systems keep the lock of a machine that died.
        gone = (
            f"; if {machine} is gone, delete {path}"
            if machine and machine != socket.gethostname()
            else ""
        )
        raise ResultsError(
            f"{path.parent} is being searched by {holder}:"
            f" wait for it, stop it, or give this search another --name{gone}"
        ) from None
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise
        # Some clusters' file systems have no locks: better a search without one than none.
    with suppress(OSError):  # a full disk: who holds it is for the message only
        os.truncate(lock, 0)
        os.write(lock, f"process {os.getpid()} on {socket.gethostname()}".encode())


def open_existing(path: Path) -> tuple[ResultsFolder, SearchSpec]:
    """A search's folder and its spec, to look at.

    Raises:
        ResultsError: no search lies there.
    """
    folder = ResultsFolder(path.resolve())
    if not folder.spec.is_file():
        raise ResultsError(f"{path} holds no search: there is no {folder.spec.name} in it")
    spec = load(folder.spec)
    return replace(folder, remote=folder_of(spec).remote), spec


def discard(folder: ResultsFolder) -> None:
    """Remove the folder of a search that never began, and the copy of it."""
    shutil.rmtree(folder.path, ignore_errors=True)
    remote.forget(folder)
