"""The lease of a search whose study is in a database."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from optuna.storages import RDBStorage

from adaptune.results.lease import Holder
from adaptune.study.database import engine_options

_KEY = "driver"


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
