"""Durable writes to local files.

After a kill, a power cut or an error, a file has its old or its new contents, and never a part.
"""

from __future__ import annotations

import errno
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

_DRAFT_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_APPEND_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
_MODE = 0o666  # before the umask
_NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)


def write_file(path: Path, *parts: bytes) -> None:
    """Replace the contents of a file by these parts, one after another.

    The file is complete on the disk when this returns. Several processes may write the same file:
    the last one wins.

    Raises:
        OSError: the file cannot be written, and no other file is left. It is as before, unless only
            the sync of the folder failed.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        _write_new(draft, parts)
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise
    _sync_folder(path.parent)


def append_to_file(path: Path, body: bytes, *, start: int | None = None) -> None:
    """Append to a file, or create it; the bytes are on the disk when this returns.

    Only one process may append at a time.

    Args:
        start: size in bytes before, if known. What is behind it is removed: a failed append leaves
            a part of its bytes if it cannot remove them either.

    Raises:
        OSError: the file cannot be written; it is as before, if the file system allows that.
    """
    is_new = not path.exists()
    file = os.open(path, _APPEND_FLAGS, _MODE)
    try:
        size = os.fstat(file).st_size
        if start is not None and start < size:
            os.ftruncate(file, start)
            size = start
        try:
            _write_all(file, body)
            os.fsync(file)
        except BaseException:
            os.ftruncate(file, size)
            raise
    finally:
        os.close(file)
    if is_new:
        _sync_folder(path.parent)


def truncate_file(path: Path, size: int) -> None:
    """Shorten a file to a size in bytes.

    Raises:
        OSError: the file cannot be written.
    """
    file = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.ftruncate(file, size)
        os.fsync(file)
    finally:
        os.close(file)


def make_folder(path: Path) -> None:
    """Create a folder with its parents, unless it exists.

    Raises:
        OSError: it cannot be created.
    """
    missing = []
    folder = path
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for folder in reversed(missing):
        try:
            os.mkdir(folder)
        except FileExistsError:
            if not folder.is_dir():  # otherwise another process was faster
                raise
        _sync_folder(folder.parent)


def rename(path: Path, target: Path) -> None:
    """Rename a file or folder; the new name is on the disk when this returns.

    Raises:
        OSError: it cannot be renamed, for example because `target` is a folder with files.
    """
    os.rename(path, target)
    _sync_folder(target.parent)


def remove_drafts(folder: Path, *, min_age_s: float = 0.0) -> None:
    """Delete what `write_file` left in a folder when its process was killed.

    Args:
        min_age_s: age in seconds that a draft must have. With 0, no other process may write to the
            folder.
    """
    now = time.time()
    for draft in folder.glob(".*.part"):
        with suppress(OSError):
            if now - draft.stat().st_mtime >= min_age_s:
                os.unlink(draft)


def remove_file(path: Path) -> None:
    """Delete a file if it exists; after a power cut it may be there again.

    Raises:
        OSError: it cannot be deleted.
    """
    with suppress(FileNotFoundError):
        os.unlink(path)


def _write_new(path: Path, parts: tuple[bytes, ...]) -> None:
    file = os.open(path, _DRAFT_FLAGS, _MODE)
    try:
        for part in parts:
            _write_all(file, part)
        os.fsync(file)
    finally:
        os.close(file)


def _write_all(file: int, body: bytes) -> None:
    view = memoryview(body)
    while view:
        view = view[os.write(file, view) :]


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the file system can do that."""
    try:
        file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:  # a folder that may be written to, but not listed
        return
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(file)
