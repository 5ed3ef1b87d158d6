"""The `data` section: two domains, and how they are split."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from adaptune.spec.base import Count, Fraction, Section

ClassRelation = Literal["equal", "target_subset", "intersection"]
_CACHE_VARIABLE = "ADAPTUNE_CACHE"
_DEFAULT_CACHE = "~/.cache/adaptune/prepared"
_SIZES = [16, 32, 64, 128, 256]


class DomainSpec(Section):
    """A data set, and how its images are brought to a common form."""

    domain: str = Field(
        description="Name of the data set (`adaptune datasets` lists them),"
        " or `imagefolder:PATH`, `imagelist:PATH` or `parquet:PATH`."
    )
    crop: Count | None = Field(
        default=None,
        description="Edge in px of the centre square that is kept before resizing;"
        " `null` keeps the whole image.",
    )
    size: int = Field(
        default=32,
        ge=_SIZES[0],
        le=_SIZES[-1],
        json_schema_extra={"enum": [*_SIZES]},
        description="Edge in px after resizing. Training costs grow with its square.",
    )
    channels: Literal[1, 3] = Field(default=3, description="Channels: 1 is grey, 3 is colour.")
    limit: Count | None = Field(
        default=None,
        description="Largest number of samples to use, chosen by the seed; `null` uses all.",
    )

    @property
    def kind(self) -> str:
        """The name of the data set without a path, such as `imagefolder`."""
        return self.domain.partition(":")[0]

    def resolved(self) -> DomainSpec:
        """Return the section with an absolute path, if its data set has a path."""
        kind, colon, path = self.domain.partition(":")
        if not colon:
            return self
        return self.model_copy(update={"domain": f"{kind}:{_absolute(path)}"})

    @field_validator("size")
    @classmethod
    def _power_of_two(cls, size: int) -> int:
        if size not in _SIZES:
            raise ValueError(f"size must be a power of two from 16 to 256, not {size}")
        return size


class DataSpec(Section):
    """The two domains and their splits."""

    source: DomainSpec = Field(description="The labelled domain.")
    target: DomainSpec = Field(
        description="The domain to adapt to: the same size and channels as the source."
    )
    classes: ClassRelation = Field(
        default="equal",
        description="`equal`: a labelled target must have the classes of the source."
        " `target_subset`: it may lack some of them; the classifier has all classes of the source."
        " `intersection`: only the classes that both domains have are used.",
    )
    root: str = Field(
        default="~/.cache/adaptune/data",
        description="Folder of torchvision's data sets, which are downloaded to it.",
    )
    cache: str | None = Field(
        default=None,
        description="Folder of prepared images: those of your own data sets are decoded once, and"
        " later commands open them at once. It may be local to each node of a cluster, and can be"
        f" deleted at any time. `null`: `${_CACHE_VARIABLE}`, or `{_DEFAULT_CACHE}`.",
    )
    resident_gb: float | None = Field(
        default=None,
        ge=0,
        description="Device memory in GB up to which the images of a search stay on the device;"
        " beyond it they are read from `cache` ahead of each update, with the same results."
        " `null`: a quarter of the free memory of the device, divided among its workers.",
    )
    source_val_fraction: Fraction = Field(
        default=0.1,
        description="Fraction of the source that is kept out of training,"
        " for `source_val_accuracy`.",
    )
    target_val_fraction: Fraction = Field(
        default=0.2,
        description="Fraction of the labelled target that scores the trials.",
    )
    target_test_fraction: Fraction = Field(
        default=0.2,
        description="Fraction of the labelled target in the held-out test set. The rest of the"
        " target is for training, without its labels.",
    )

    def resolved(self) -> DataSpec:
        """Return the section with absolute paths.

        Commands on the results or the export may run in another working directory, where relative
        paths lead elsewhere.
        """
        domains = {"source": self.source.resolved(), "target": self.target.resolved()}
        cache = self.cache if self.cache is None else _absolute(self.cache)
        return self.model_copy(update={"root": _absolute(self.root), "cache": cache, **domains})

    @model_validator(mode="after")
    def _domains_fit(self) -> DataSpec:
        source, target = self.source, self.target
        if (source.size, source.channels) != (target.size, target.channels):
            raise ValueError(
                "source and target must agree in size and channels:"
                f" source is {source.size} px with {source.channels},"
                f" target {target.size} px with {target.channels}"
            )
        if self.target_val_fraction + self.target_test_fraction >= 1:
            raise ValueError(
                "target_val_fraction + target_test_fraction must leave room for training"
            )
        return self


def cache_folder(cache: str | None = None) -> Path:
    """Return the folder of prepared images for a value of `data.cache`."""
    return Path(cache or os.environ.get(_CACHE_VARIABLE) or _DEFAULT_CACHE).expanduser()


def _absolute(path: str) -> str:
    """Return an absolute path; one in a home folder stays as it is."""
    return path if path.startswith("~") else str(Path(path).absolute())
