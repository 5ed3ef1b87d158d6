"""The `storage` section: the places of results, checkpoints and the study."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from adaptune.spec.addresses import has_secret
from adaptune.spec.base import Section

_SQLITE = re.compile(r"(sqlite(?:\+\w+)?:///)([^?]*)(.*)", re.DOTALL)


class StorageSpec(Section):
    """The places of results, checkpoints and the study."""

    out: str = Field(
        default="results",
        description="Folder of all searches; each has a subfolder `<name>/`. On several nodes it"
        " must be shared, unless `remote` is set.",
    )
    remote: str | None = Field(
        default=None,
        description="URI (`s3://…`, `gs://…`) of an object store for the checkpoints and a copy of"
        " all results; `null` keeps everything in `out`.",
    )
    study: str | None = Field(
        default=None,
        description="URL of a database for the study (`sqlite:///…`, `postgresql://…`); `null`"
        " keeps the study in a journal file in the results folder.",
    )
    keep_checkpoints: Annotated[int, Field(ge=2)] = Field(
        default=2,
        description="Newest checkpoints to keep per running trial, in addition to the best one. A"
        " trial that has ended keeps the best one only.",
    )
    checkpoint_budget_gb: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description="Upper bound in GB on the checkpoints and sample grids of all trials together;"
        " the least useful ones are deleted first. `null` sets no bound.",
    )

    @field_validator("remote")
    @classmethod
    def _is_uri(cls, remote: str | None) -> str | None:
        if remote is not None and "://" not in remote:
            raise ValueError(
                f"remote must be a URI such as s3://bucket/results, not {remote};"
                " a folder goes into `out`"
            )
        return remote

    @field_validator("remote")
    @classmethod
    def _has_no_keys(cls, remote: str | None) -> str | None:
        # The address is written to search.yaml, tables and reports.
        if remote is not None and has_secret(remote):
            raise ValueError(
                "remote must not hold a secret, because it is written to the results: put it into"
                " the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), a profile"
                " (AWS_PROFILE) or the role of the machine"
            )
        return remote

    @field_validator("study")
    @classmethod
    def _has_no_password(cls, study: str | None) -> str | None:
        if study is not None and has_secret(study):
            raise ValueError(
                "study must not hold a password, because it is written to the results: put it into"
                " the client's own file, such as ~/.pgpass or the one that PGPASSFILE names"
            )
        return study

    def resolved(self) -> StorageSpec:
        """Return the section with an absolute path of a SQLite database.

        A resume from another working directory would otherwise open another database.
        """
        match = _SQLITE.fullmatch(self.study or "")
        file = sqlite_file(self.study)
        if match is None or file is None:
            return self
        study = f"{match[1]}{file.absolute()}{match[3]}"
        return self.model_copy(update={"study": study})


def sqlite_file(url: str | None) -> Path | None:
    """Return the file of a SQLite database, or None for another kind of database or address."""
    match = _SQLITE.fullmatch(url or "")
    if match is None or match[2] in ("", ":memory:") or match[2].startswith("file:"):
        return None
    return Path(match[2])
