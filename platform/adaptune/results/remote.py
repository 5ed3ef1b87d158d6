"""The copy of a results folder at `storage.remote`.

A search can be resumed from it on another machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pyarrow import fs

from adaptune.errors import ResultsError
from adaptune.files import append_to_file, make_folder, write_file
from adaptune.results.folder import ResultsFolder, join_uri
from adaptune.results.journal_file import complete_lines, remove_partial_line
from adaptune.results.remote_journal import RemoteJournal


class RemoteCopy:
    """The copy of a search, as the driver that runs the search writes it.

    Workers write checkpoints there themselves.
    """

    def __init__(self, folder: ResultsFolder) -> None:
        self._folder = folder
        self._journal: RemoteJournal | None = None
        if folder.remote is not None:
            self._journal = RemoteJournal(folder.remote)

    def upload_journal(self, size: int) -> None:
        """Upload the first bytes of the journal, as far as the copy lacks them.

        Raises:
            OSError: the store cannot be written to.
            ResultsError: the copy is that of another driver.
        """
        if self._journal is not None and size > 0:
            self._journal.append(self._folder.journal, size)

    def upload_files(self, *, everything: bool = False) -> None:
        """Upload the other files.

        Args:
            everything: whether to upload more than a resume and the tables need.

        Raises:
            OSError: the store cannot be written to.
        """
        folder = self._folder
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


def upload(folder: ResultsFolder, *, everything: bool = False) -> None:
    """Upload the study and the other files of a search that no driver is changing.

    Args:
        everything: whether to upload more than a resume and the tables need.

    Raises:
        OSError: the store cannot be written to.
        ResultsError: the copy is that of another driver.
    """
    if folder.remote is None:
        return
    journals = [folder.journal]
    if everything:
        journals = sorted(folder.path.rglob(folder.journal.name))  # those of `confirm`, too
    for journal in journals:
        parts = journal.parent.relative_to(folder.path).parts
        size = len(complete_lines(journal))
        if size > 0:
            RemoteJournal(join_uri(folder.remote, *parts)).append(journal, size)
    RemoteCopy(folder).upload_files(everything=everything)


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
    """Bring a local folder up to date with its copy; nothing in the copy is changed.

    The journals decide, because a journal only grows: if one of them is the beginning of the other,
    the longer one is the newer state of the same search.

    Raises:
        ResultsError: each journal has trials that the other one lacks, or the store does not
            answer.
    """
    if folder.remote is None:
        return
    try:
        _download_journal(folder, RemoteJournal(folder.remote).read())
        store, prefix = fs.FileSystem.from_uri(folder.remote)
        # The spec comes last: it distinguishes a search from an empty folder.
        for file in (*_state_files(folder), folder.spec):
            source = f"{prefix}/{file.name}"
            if not file.exists() and store.get_file_info(source).type == fs.FileType.File:
                _download_file(store, source, file)
    except (OSError, ValueError) as error:
        raise store_error(folder, error) from error


def store_error(folder: ResultsFolder, error: Exception) -> ResultsError:
    """Return the error for a store that cannot be read or written."""
    return ResultsError(
        f"storage.remote: cannot use {folder.remote}: {error}; check the address, the credentials"
        " and that the bucket exists"
    )


def check_empty(folder: ResultsFolder) -> None:
    """Check that the copy holds no study, for a search that begins.

    Raises:
        ResultsError: it holds one, or the store does not answer.
    """
    if folder.remote is None:
        return
    try:
        size = RemoteJournal(folder.remote).size()
    except (OSError, ValueError) as error:
        raise store_error(folder, error) from error
    if size > 0:
        raise ResultsError(
            f"{folder.remote} holds a study without its {folder.spec.name}: delete it, or give this"
            " search another --name"
        )


def discard(folder: ResultsFolder) -> None:
    """Delete the copy of a search that never began.

    If the store is unreachable, do nothing.
    """
    if folder.remote is None:
        return
    with suppress(OSError, ValueError, ResultsError):
        RemoteJournal(folder.remote).delete()
        store, prefix = fs.FileSystem.from_uri(folder.remote)
        store.delete_file(f"{prefix}/{folder.spec.name}")


def _download_journal(folder: ResultsFolder, remote: bytes) -> None:
    local = complete_lines(folder.journal)
    common = min(len(local), len(remote))
    if local[:common] != remote[:common]:
        raise ResultsError(
            f"{folder.path} and {folder.remote} hold this search with different trials: it was"
            " continued from a copy while the other place had newer ones. Nothing was changed. To"
            f" continue from {folder.remote}, move {folder.path} away; to continue from"
            f" {folder.path}, set another storage.remote"
        )
    if len(remote) > common:
        make_folder(folder.path)
        remove_partial_line(folder.journal)
        append_to_file(folder.journal, remote[common:])


def _download_file(store: fs.FileSystem, source: str, file: Path) -> None:
    make_folder(file.parent)
    with store.open_input_stream(source) as stream:
        write_file(file, stream.read())


def _state_files(folder: ResultsFolder) -> tuple[Path, ...]:
    """Return the files that a resume needs in addition to the spec and the study."""
    return (folder.splits, folder.path / "source_classifier.safetensors")


def _resume_files(folder: ResultsFolder) -> Iterator[Path]:
    files = (folder.spec, *_state_files(folder), folder.trials_table, folder.epochs_table)
    return (file for file in files if file.exists())


def _all_files(folder: ResultsFolder) -> Iterator[Path]:
    for file in sorted(folder.path.rglob("*")):
        parts = file.relative_to(folder.path).parts
        hidden = any(part.startswith(".") for part in parts)
        is_journal = parts[-1].startswith(folder.journal.name)
        if file.is_file() and not hidden and not is_journal and "checkpoints" not in parts:
            yield file
