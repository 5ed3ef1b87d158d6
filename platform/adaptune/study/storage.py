"""Storage of the study: a journal in the results folder, or a database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from adaptune.errors import ResultsError
from adaptune.spec.schema import SearchSpec
from adaptune.study.database import open_database, read_database
from adaptune.study.journal import StudyJournal
from adaptune.study.study import METRIC, SearchStudy, create_study


def open_study(
    spec: SearchSpec, journal: Path, check: Callable[[], None] = lambda: None
) -> SearchStudy:
    """Open the study of a search for writing, or create it with its start points.

    The caller holds the lock of the results folder.

    Args:
        check: called before each request to a database; it raises if another driver took over.

    Raises:
        ResultsError: the database does not answer.
    """
    if spec.storage.study is not None:
        return create_study(spec, open_database(spec.storage.study, check))
    return create_study(spec, JournalStorage(StudyJournal(journal)))


def read_study(spec: SearchSpec, journal: Path) -> SearchStudy:
    """Open the study of a search for reading; the search may be running.

    Raises:
        ResultsError: there is no study, or its database does not answer.
    """
    if spec.storage.study is None:
        study = _read_journal(journal)
    else:
        study = _read_database(spec.name, spec.storage.study)
    if METRIC not in study.user_attrs:  # a search creates it at this moment, or was killed then
        raise ResultsError(
            f"the study {study.study_name} is incomplete: the search has not begun its trials"
        )
    return SearchStudy(study, spec)


def ensure_absent(name: str, database: str | None) -> None:
    """Check that the database holds no study of this name.

    Args:
        database: URL of the database; None for a journal, which needs no check.

    Raises:
        ResultsError: there is one already, or the database does not answer.
    """
    if database is not None and has_study(name, database):
        raise ResultsError(
            f"storage.study holds a study {name} already: add --resume to continue it, or give this"
            " search another --name"
        )


def has_study(name: str, database: str) -> bool:
    """Return whether a database holds a study of this name; nothing is created.

    Raises:
        ResultsError: the database does not answer.
    """
    storage = read_database(database)
    return storage is not None and name in optuna.get_all_study_names(storage)


def _read_journal(journal: Path) -> optuna.Study:
    if not journal.is_file():  # Optuna would create an empty one
        raise ResultsError(f"there is no study {journal}: the search has not begun its trials")
    try:
        storage = JournalStorage(JournalFileBackend(str(journal)))
        [name] = optuna.get_all_study_names(storage)
        return optuna.load_study(study_name=name, storage=storage)
    except (KeyError, ValueError) as error:
        raise ResultsError(f"there is no study in {journal}: {error}") from error


def _read_database(name: str, url: str) -> optuna.Study:
    storage = read_database(url)
    try:
        if storage is not None:
            return optuna.load_study(study_name=name, storage=storage)
    except KeyError:
        pass
    raise ResultsError(f"there is no study {name} in storage.study: the search has not begun")
