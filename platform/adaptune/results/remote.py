"""The copy of a results folder at `storage.remote`.

A search can be resumed from it on another machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pyarrow import fs

from adaptune.errors import ResultsError
from adaptune.results.folder import ResultsFolder


def upload(folder: ResultsFolder, *, everything: bool = False) -> None:
    """Copy the files of a search, except for the checkpoints, which workers write there themselves.

    Args:
        everything: whether to copy more than a resume and the tables need.

    Raises:
        OSError: the store cannot be written to.
    """
    if folder.remote is None:
        return
    store, prefix = fs.FileSystem.from_uri(folder.remote)
    for file in _all_files(folder) if everything else _resume_files(folder):
        target = f"{prefix}/{file.relative_to(folder.path).as_posix()}"
        store.create_dir(target.rpartition("/")[0])
        fs.copy_files(
            str(file),
            target,
            source_filesystem=fs.LocalFileSystem(),
            destination_filesystem=store,
        )


def exists(folder: ResultsFolder) -> bool:
    """Return whether `storage.remote` holds a search of this name.

    Raises:
        ResultsError: the store does not answer.
    """
    if folder.remote is None:
        return False
    try:
        store, prefix = fs.FileSystem.from_uri(folder.remote)
        file_type = store.get_file_info(f"{prefix}/{folder.spec.name}").type
    except (OSError, ValueError) as error:
        raise store_error(folder, error) from error
    return bool(file_type == fs.FileType.File)


def download(folder: ResultsFolder) -> None:
    """Copy what a resume needs into the local folder.

    Raises:
        ResultsError: the store does not answer.
    """
    try:
        store, prefix = fs.FileSystem.from_uri(folder.remote)
        folder.path.mkdir(parents=True, exist_ok=True)
        # The spec comes last: it distinguishes a search from an empty folder.
        for file in (folder.journal, folder.splits, folder.spec):
            source = f"{prefix}/{file.name}"
            if store.get_file_info(source).type == fs.FileType.File:
                fs.copy_files(
                    source,
                    str(file),
                    source_filesystem=store,
                    destination_filesystem=fs.LocalFileSystem(),
                )
    except OSError as error:
        raise store_error(folder, error) from error


def store_error(folder: ResultsFolder, error: Exception) -> ResultsError:
    """Return the error for a store that cannot be read or written."""
    return ResultsError(
        f"storage.remote: cannot use {folder.remote}: {error}; check the address, the credentials"
        " and that the bucket exists"
    )


def remove_marker(folder: ResultsFolder) -> None:
    """Remove the file that distinguishes a search from an empty folder.

    If the store is unreachable, do nothing.
    """
    if folder.remote is None:
        return
    with suppress(OSError, ValueError):
        store, prefix = fs.FileSystem.from_uri(folder.remote)
        store.delete_file(f"{prefix}/{folder.spec.name}")


def _resume_files(folder: ResultsFolder) -> Iterator[Path]:
    files = (
        folder.spec,
        folder.journal,
        folder.splits,
        folder.trials_table,
        folder.epochs_table,
    )
    return (file for file in files if file.exists())


def _all_files(folder: ResultsFolder) -> Iterator[Path]:
    for file in sorted(folder.path.rglob("*")):
        parts = file.relative_to(folder.path).parts
        hidden = any(part.startswith(".") for part in parts)
        if file.is_file() and not hidden and "checkpoints" not in parts:
            yield file
