"""Creation, resumption, opening and removal of a results folder."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import yaml

from adaptune.errors import OtherSpecError, ResultsError
from adaptune.files import make_folder, remove_drafts
from adaptune.results import remote
from adaptune.results.folder import FORMAT, ResultsFolder, results_folder, write_atomically
from adaptune.results.journal_file import complete_lines
from adaptune.results.lease import DriverLease
from adaptune.results.lock import LOCK_NAME, driver_lock
from adaptune.results.remote_lease import RemoteLease
from adaptune.spec import SearchSpec, dump_spec, fingerprint, load_spec
from adaptune.spec.yaml_reader import parse


def exists(spec: SearchSpec) -> bool:
    """Return whether a search of this name is in its results folder or in the remote copy.

    Raises:
        ResultsError: `storage.remote` does not answer.
    """
    folder = results_folder(spec.name, spec.storage)
    return folder.spec.exists() or remote.exists(folder)


def create_or_resume(
    spec: SearchSpec, *, resume: bool, lease: DriverLease | None = None
) -> ResultsFolder:
    """Create the results folder of a search, or open it for a resume.

    Args:
        lease: takes the lease of `storage.remote`, unless the caller has it already.

    Raises:
        OtherSpecError: the folder holds a search of another spec.
        ResultsError: there is nothing to resume, or the study is gone; the folder holds a search
            and `resume` is False; it belongs to an older format, holds other files, is in use, or
            has other trials than its copy; or the folder or `storage.remote` is not writable.
    """
    folder = results_folder(spec.name, spec.storage)
    is_new = not folder.spec.exists() and not _is_in_copy(folder, resume=resume)
    if is_new and resume:
        raise ResultsError(
            f"nothing to resume: {folder.path} holds no search; run it without --resume"
        )
    try:
        if is_new:
            _create(folder, dump_spec(spec), lease)
        else:
            _resume(folder, spec, lease, resume=resume)
    except OSError as error:
        raise ResultsError(f"cannot write to {folder.path}: {error.strerror}") from error
    return folder


def hold_copy(folder: ResultsFolder, lease: DriverLease | None) -> None:
    """Take the lease of the folder's copy, if there is a copy.

    Raises:
        ResultsError: another driver holds it, or the store cannot be used.
    """
    if folder.remote is None or lease is None:
        return
    try:
        lease.acquire(RemoteLease(folder.remote))
    except (OSError, ValueError) as error:
        raise remote.store_error(folder, error) from error


def open_existing(path: Path) -> tuple[ResultsFolder, SearchSpec]:
    """Open the results folder of a search for reading, and load its spec.

    Raises:
        ResultsError: the folder holds no search, or one of an older format.
    """
    folder = ResultsFolder(path.resolve())
    if not folder.spec.is_file():
        raise ResultsError(f"{path} holds no search: there is no {folder.spec.name} in it")
    check_format(folder)
    spec = load_spec(folder.spec)
    configured = results_folder(spec.name, spec.storage)
    return replace(configured, path=folder.path), spec


def discard(folder: ResultsFolder) -> None:
    """Remove the folder of a search that never began, and its remote copy."""
    shutil.rmtree(folder.path, ignore_errors=True)
    remote.discard(folder)


def check_format(folder: ResultsFolder) -> None:
    """Refuse a results folder that another format's version of adaptune wrote.

    Raises:
        ResultsError: the folder has another format.
    """
    try:
        tree = parse(folder.spec.read_text(encoding="utf-8")).tree
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ResultsError(f"{folder.spec} cannot be read: {error}") from error
    if not isinstance(tree, dict):
        raise ResultsError(f"{folder.spec} cannot be read: it is damaged")
    version = tree.get("format", 1)  # the first format had no version
    if version != FORMAT:
        raise ResultsError(
            f"{folder.path} has format {version} of another version of adaptune; this version reads"
            f" format {FORMAT}: open it with the version that wrote it, or start the search again"
            " under another --name"
        )


def _is_in_copy(folder: ResultsFolder, *, resume: bool) -> bool:
    """Return whether only the remote copy holds the search; refuse to begin it again."""
    if not remote.exists(folder):
        return False
    if not resume:
        raise ResultsError(
            f"{folder.remote} holds a search of this name: add --resume to continue it, or give"
            " this search another --name"
        )
    return True


def _check_same_search(folder: ResultsFolder, digest: str, *, resume: bool) -> None:
    check_format(folder)
    if fingerprint(load_spec(folder.spec)) != digest:
        raise OtherSpecError(
            f"{folder.path} holds a search of another spec: compare with its search.yaml, or give"
            " this search another --name"
        )
    if not resume:
        raise ResultsError(
            f"{folder.path} holds this search already: add --resume to continue it (a larger"
            " --trials extends it), or give it another --name"
        )


def _check_journal(folder: ResultsFolder) -> None:
    """Check that the journal of a search is there, if the search has begun."""
    if folder.has_begun and not complete_lines(folder.journal):
        raise ResultsError(
            f"{folder.path} holds the trials of a search, but its study {folder.journal.name} is"
            " missing or empty: restore that file from a backup, or start the search again under"
            " another --name"
        )


def _create(folder: ResultsFolder, spec_text: str, lease: DriverLease | None) -> None:
    _check_no_other_files(folder)
    make_folder(folder.path)
    with driver_lock(folder):
        try:
            remove_drafts(folder.path)
            hold_copy(folder, lease)
            remote.check_empty(folder)
            write_atomically(folder.spec, spec_text)
            _upload_new(folder)
        except BaseException:
            shutil.rmtree(folder.path, ignore_errors=True)
            raise


def _resume(
    folder: ResultsFolder, spec: SearchSpec, lease: DriverLease | None, *, resume: bool
) -> None:
    digest = fingerprint(spec)
    spec_text = dump_spec(spec)
    make_folder(folder.path)
    with driver_lock(folder):  # a search that is running is reported first
        if folder.spec.exists():
            _check_same_search(folder, digest, resume=resume)
        hold_copy(folder, lease)
        remote.download(folder)
        _check_same_search(folder, digest, resume=resume)
        if spec.storage.study is None:
            _check_journal(folder)
        remove_drafts(folder.path)
        write_atomically(folder.spec, spec_text)
        _upload(folder)


def _check_no_other_files(folder: ResultsFolder) -> None:
    """Refuse a folder with anything but what an attempt to begin a search left there.

    A search that never begins is removed with its folder.
    """
    if not folder.path.is_dir():
        return
    for path in folder.path.iterdir():
        if path.name != LOCK_NAME and path.suffix != ".part":
            raise ResultsError(
                f"{folder.path} holds other files and no search: give this search another --name"
            )


def _upload_new(folder: ResultsFolder) -> None:
    try:
        _upload(folder)
    except BaseException:  # Ctrl-C, too: nothing was written, as the message says
        remote.discard(folder)
        raise


def _upload(folder: ResultsFolder) -> None:
    try:
        remote.upload(folder)
    except (OSError, ValueError) as error:
        raise remote.store_error(folder, error) from error
