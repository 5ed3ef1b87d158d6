"""The copy of a results folder at `storage.remote`, from which a search can go on elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pyarrow import fs

from adaptune.errors import ResultsError
from adaptune.results.folder import ResultsFolder


def push(folder: ResultsFolder, *, whole: bool = False) -> None:
    """Copy what a search leaves in its folder but for the checkpoints, which workers write there themselves.

    Args:
        whole: not only what a resume and a look at the tables need.

    Raises:
        OSError: the store cannot be written to.
    """
    if folder.remote is None:
        return
    store, prefix = fs.FileSystem.from_uri(folder.remote)
    for file in _files(folder) if whole else _tables(folder):
        target = f"{prefix}/{file.relative_to(folder.path).as_posix()}"
        store.create_dir(target.rpartition("/")[0])
        fs.copy_files(
            str(file), target, source_filesystem=fs.LocalFileSystem(), destination_filesystem=store
        )


def holds(folder: ResultsFolder) -> bool:
    """Whether a search of this name lies at `storage.remote`.

    Raises:
        ResultsError: the store does not answer.
    """
    if folder.remote is None:
        return False
    try:
        store, prefix = fs.FileSystem.from_uri(folder.remote)
        found: bool = store.get_file_info(f"{prefix}/{folder.spec.name}").type == fs.FileType.File
    except (OSError, ValueError) as error:
        raise unreachable(folder, error) from error
    return found


def pull(folder: ResultsFolder) -> None:
    """Bring what a resume needs to the folder.

    Raises:
        ResultsError: the store does not answer.
    """
    try:
        store, prefix = fs.FileSystem.from_uri(folder.remote)
        folder.path.mkdir(parents=True, exist_ok=True)
        # The last is what tells a search from an empty folder.
        for file in (folder.journal, folder.splits, folder.spec):
            if store.get_file_info(f"{prefix}/{file.name}").type == fs.FileType.File:
                fs.copy_files(
                    f"{prefix}/{file.name}",
                    str(file),
                    source_filesystem=store,
                    destination_filesystem=fs.LocalFileSystem(),
                )
    except OSError as error:
        raise unreachable(folder, error) from error


def unreachable(folder: ResultsFolder, error: Exception) -> ResultsError:
    """What a user is told of a store that cannot be read or written."""
    return ResultsError(
        f"storage.remote: cannot use {folder.remote}: {error}; check the address, the credentials and that the"
        " bucket is there"
    )


def forget(folder: ResultsFolder) -> None:
    """Remove what tells a search from an empty folder; of a store that does not answer, another time."""
    if folder.remote is not None:
        with suppress(OSError, ValueError):
            store, prefix = fs.FileSystem.from_uri(folder.remote)
            store.delete_file(f"{prefix}/{folder.spec.name}")


def _tables(folder: ResultsFolder) -> Iterator[Path]:
    own = (folder.spec, folder.journal, folder.splits, *folder.tables)
    return (file for file in own if file.exists())


def _files(folder: ResultsFolder) -> Iterator[Path]:
    for file in sorted(folder.path.rglob("*")):
        parts = file.relative_to(folder.path).parts
        if (
            file.is_file()
            and "checkpoints" not in parts
            and not any(part.startswith(".") for part in parts)
        ):
            yield file
