"""The lease of a search whose study is in a database."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import optuna
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from adaptune.errors import ResultsError
from adaptune.results.folder import ResultsFolder
from adaptune.results.lease import DriverLease, Holder
from adaptune.spec.schema import SearchSpec
from adaptune.study.database import engine_options, open_database
from adaptune.study.storage import has_study, open_study

_KEY = "driver"
_WAITING = TrialState.WAITING


@dataclass(frozen=True)
class StudyLease:
    """The user attribute `driver` of a study in a database.

    It has a connection of its own, and its requests are not repeated: the next renewal is.

    Attributes:
        url: address of the database.
        study_name: name of the study, which exists.
    """

    url: str
    study_name: str

    @property
    def name(self) -> str:
        """The study in words."""
        return f"the study {self.study_name} in storage.study"

    def read(self) -> Holder | None:
        """Return the present holder, if any."""
        return Holder.from_dict(self._storage.get_study_user_attrs(self._study_id).get(_KEY))

    def write(self, holder: Holder | None) -> None:
        """Store the holder, or that there is none."""
        stored = None if holder is None else holder.to_dict()
        self._storage.set_study_user_attr(self._study_id, _KEY, stored)

    @cached_property
    def _storage(self) -> RDBStorage:
        options = engine_options(self.url, keep_open=False)
        return RDBStorage(self.url, engine_kwargs=options)

    @cached_property
    def _study_id(self) -> int:
        return int(self._storage.get_study_id_from_name(self.study_name))


def hold_study(spec: SearchSpec, folder: ResultsFolder, lease: DriverLease) -> None:
    """Take the lease of a study in a database; create the study of a new search.

    Raises:
        ResultsError: another driver holds the lease, the study of a search that has begun is
            missing, or the database does not answer.
    """
    database = spec.storage.study
    if database is None:
        return
    if not has_study(spec.name, database):
        if folder.has_begun:
            raise ResultsError(
                f"{folder.path} holds the trials of a search, but storage.study holds no study"
                f" {spec.name}: check the address, restore the database from a backup, or start"
                " the search again under another --name"
            )
        open_study(spec, folder.journal)
    lease.acquire(StudyLease(database, spec.name))


def discard_study(name: str, database: str | None, lease: DriverLease) -> bool:
    """Delete a study that this driver holds, unless a trial has begun.

    Returns:
        False if the study is kept.

    Raises:
        ResultsError: the database does not answer.
    """
    if database is None or not lease.holds(StudyLease(database, name)):
        return True  # it has none, or it is another driver's
    storage = open_database(database)
    study = optuna.load_study(study_name=name, storage=storage)
    if any(trial.state != _WAITING for trial in study.get_trials(deepcopy=False)):
        return False
    optuna.delete_study(study_name=name, storage=storage)
    return True
