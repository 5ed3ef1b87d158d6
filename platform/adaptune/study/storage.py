"""Storage of the study: a journal in the results folder, or a database."""

from __future__ import annotations

import os
from pathlib import Path

import optuna
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from adaptune.errors import ResultsError
from adaptune.spec.schema import SearchSpec
from adaptune.study.study import METRIC, SearchStudy, create_study


def open_study(spec: SearchSpec, journal: Path) -> SearchStudy:
    """Open the study of a search for writing, or create it with its start points.

    The caller holds the lock of the results folder. A truncated last line, which a kill or a power
    cut may leave in the journal, is removed: Optuna would append after it and never read the
    journal again.

    Raises:
        ResultsError: the database does not answer.
    """
    if spec.storage.study is not None:
        return create_study(spec, _database(spec.storage.study))
    _truncate_partial_line(journal)
    return create_study(spec, JournalStorage(CrashSafeJournal(str(journal))))


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
    if database is not None and name in optuna.get_all_study_names(_database(database)):
        raise ResultsError(
            f"storage.study holds a study {name} already: add --resume to continue it, or give this"
            " search another --name"
        )


class CrashSafeJournal(JournalFileBackend):
    """Journal that rolls back a failed append.

    Optuna would leave a truncated line and append after it.
    """

    def __init__(self, journal: str) -> None:
        super().__init__(journal)
        self._journal = journal

    def append_logs(self, logs: list[dict[str, object]]) -> None:
        """Append entries, all of them or none."""
        size = os.path.getsize(self._journal)  # nobody else writes: the folder is locked
        try:
            super().append_logs(logs)
        except OSError:
            os.truncate(self._journal, size)
            raise


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
    try:
        return optuna.load_study(study_name=name, storage=_database(url))
    except KeyError:
        raise ResultsError(
            f"there is no study {name} in storage.study: the search has not begun"
        ) from None


def _database(url: str) -> RDBStorage:
    try:
        # A connection may have been closed since it was last used.
        return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
    except ImportError as error:
        raise ResultsError(
            "storage.study: the database's client is missing; for PostgreSQL, run"
            " pip install 'adaptune[postgresql]'"
        ) from error
    except Exception as error:  # each database has its own errors
        raise ResultsError(f"storage.study: the database does not answer: {error}") from error


def _truncate_partial_line(journal: Path) -> None:
    if not journal.exists():
        return
    with journal.open("rb+") as file:
        text = file.read()
        if not text.endswith(b"\n"):
            file.truncate(text.rfind(b"\n") + 1)
