"""The `storage` section: the places of results, checkpoints and the study."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from adaptune.spec.base import Section


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
