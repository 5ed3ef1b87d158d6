"""Creation, resumption, opening and removal of a results folder."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import yaml

from adaptune.errors import OtherSpecError, ResultsError
from adaptune.results import remote
from adaptune.results.folder import FORMAT, ResultsFolder, results_folder, write_atomically
from adaptune.results.lock import driver_lock
from adaptune.spec import SearchSpec, dump_spec, fingerprint, load_spec
from adaptune.spec.yaml_reader import parse


def exists(spec: SearchSpec) -> bool:
    """Return whether a search of this name is in its results folder or in the remote copy.

    Raises:
        ResultsError: `storage.remote` does not answer.
    """
    folder = results_folder(spec.name, spec.storage)
    return folder.spec.exists() or remote.exists(folder)


def create_or_resume(spec: SearchSpec, *, resume: bool) -> ResultsFolder:
    """Create the results folder of a search, or open it for a resume.

    Raises:
        OtherSpecError: the folder holds a search of another spec.
        ResultsError: there is nothing to resume; the folder holds a search and `resume` is False;
            it belongs to an older format, holds other files, or is in use; or the folder or
            `storage.remote` is not writable.
    """
    folder = results_folder(spec.name, spec.storage)
    is_new = not _fetch(folder, resume=resume)
    if resume and is_new:
        raise ResultsError(
            f"nothing to resume: {folder.path} holds no search; run it without --resume"
        )
    if not is_new:
        with driver_lock(folder):  # a search that is running is reported first
            pass
        _check_same_search(folder, spec, resume=resume)
    _write_spec(folder, spec, is_new=is_new)
    try:
        remote.upload(folder)
    except (OSError, ValueError) as error:
        if is_new:
            discard(folder)
        raise remote.store_error(folder, error) from error
    return folder


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
    remote.remove_marker(folder)


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


def _fetch(folder: ResultsFolder, *, resume: bool) -> bool:
    """Return whether there is a search; a resume downloads it if only the remote copy has it."""
    if folder.spec.exists():
        return True
    if not remote.exists(folder):
        return False
    if not resume:
        raise ResultsError(
            f"{folder.remote} holds a search of this name: add --resume to continue it, or give"
            " this search another --name"
        )
    remote.download(folder)
    return True


def _check_same_search(folder: ResultsFolder, spec: SearchSpec, *, resume: bool) -> None:
    check_format(folder)
    if fingerprint(load_spec(folder.spec)) != fingerprint(spec):
        raise OtherSpecError(
            f"{folder.path} holds a search of another spec: compare with its search.yaml, or give"
            " this search another --name"
        )
    if not resume:
        raise ResultsError(
            f"{folder.path} holds this search already: add --resume to continue it (a larger"
            " --trials extends it), or give it another --name"
        )


def _write_spec(folder: ResultsFolder, spec: SearchSpec, *, is_new: bool) -> None:
    try:
        # A search that never begins is removed with its folder: it must hold nothing else.
        if is_new and folder.path.exists() and any(folder.path.iterdir()):
            raise ResultsError(
                f"{folder.path} holds other files and no search: give this search another --name"
            )
        folder.path.mkdir(parents=True, exist_ok=True)
        write_atomically(folder.spec, dump_spec(spec))
    except OSError as error:
        raise ResultsError(f"cannot write to {folder.path}: {error.strerror}") from error
