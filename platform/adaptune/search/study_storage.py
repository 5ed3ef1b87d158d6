"""Where the study lies: a journal in the results folder, or a database."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from adaptune.errors import ResultsError
from adaptune.results.folder import ResultsFolder
from adaptune.search.study import create_study
from adaptune.spec.schema import SearchSpec


def open_study(spec: SearchSpec, journal: str) -> optuna.Study:
    """The study of this search, in its database or else its journal, made with its start points where there is none.

    The caller holds the folder's lock: a torn last line, which a kill or a power cut may leave, is cut off,
    since Optuna would write on behind it and never read the journal again.

    Raises:
        ResultsError: the database does not answer.
    """
    if spec.storage.study is not None:
        return create_study(spec, _database(spec.storage.study))
    _cut_torn_line(Path(journal))
    return create_study(spec, JournalStorage(_WholeLines(journal)))


def check_new(spec: SearchSpec) -> None:
    """Raise ResultsError where the database of the spec holds a study of this name already, or does not answer."""
    if spec.storage.study is not None and spec.name in optuna.get_all_study_names(
        _database(spec.storage.study)
    ):
        raise ResultsError(
            f"storage.study holds a study {spec.name} already: add --resume to go on with it, or give another --name"
        )


def study_of(folder: ResultsFolder, spec: SearchSpec) -> optuna.Study:
    """The study of a search, to look at.

    Raises:
        ResultsError: there is none, or its database does not answer.
    """
    if spec.storage.study is None:
        return load_study(str(folder.journal))
    try:
        return optuna.load_study(study_name=spec.name, storage=_database(spec.storage.study))
    except KeyError:
        raise ResultsError(
            f"there is no study {spec.name} in storage.study: the search has not begun"
        ) from None


def _database(url: str) -> RDBStorage:
    try:
        # A connection may have been cut since it was last used.
        return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
    except ImportError as error:
        raise ResultsError(
            "storage.study: the database's client is missing; for PostgreSQL, pip install 'adaptune[postgresql]'"
        ) from error
    except Exception as error:  # each database has errors of its own
        raise ResultsError(f"storage.study: no database answers there: {error}") from error


def load_study(journal: str) -> optuna.Study:
    """The study in a journal, to look at: nothing is written, and a search may be running on it.

    Raises:
        ResultsError: there is none.
    """
    # Optuna would make an empty journal.
    if not Path(journal).is_file():
        raise ResultsError(f"there is no study {journal}: the search has not begun its trials")
    try:
        storage = JournalStorage(JournalFileBackend(journal))
        [name] = optuna.get_all_study_names(storage)
        return optuna.load_study(study_name=name, storage=storage)
    except (KeyError, ValueError) as error:
        raise ResultsError(f"there is no study in {journal}: {error}") from error


def _cut_torn_line(journal: Path) -> None:
    if not journal.exists():
        return
    with journal.open("rb+") as file:
        whole = file.read()
        if not whole.endswith(b"\n"):
            file.truncate(whole.rfind(b"\n") + 1)


class _WholeLines(JournalFileBackend):
    """A journal that a full disk leaves as it was: Optuna would leave a torn line, and write on behind it."""

    def __init__(self, journal: str) -> None:
        super().__init__(journal)
        self._journal = journal

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        size = os.path.getsize(self._journal)  # nobody else writes: the folder is locked
        try:
            super().append_logs(logs)
        except OSError:
            os.truncate(self._journal, size)
            raise
