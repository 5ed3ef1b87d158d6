"""The `data` section: two domains, and how they are split."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from adaptune.spec.base import Count, Fraction, Section

ClassRelation = Literal["equal", "target_subset", "intersection"]
_CACHE_VARIABLE = "ADAPTUNE_CACHE"
_DEFAULT_CACHE = "~/.cache/adaptune/prepared"
# Names of domains that end with a path of the user, `KIND:PATH`.
PATH_KINDS = ("imagefolder", "imagelist", "parquet")

# Low and high of the stored values.
Interval = tuple[float, float]
ValueRange = Interval | Annotated[tuple[Interval, ...], Field(min_length=1)]

MAX_CHANNELS = 64
MIN_SIZE = 16
MAX_SIZE = 512
SIZE_STEP = 4  # the networks fold or halve the edge twice at least
_COLOURS = {"white": (255, 255, 255), "black": (0, 0, 0)}


class ColumnsSpec(Section):
    """The columns of a Parquet domain."""

    image: str = Field(default="image", description="Column of the images.")
    label: str | None = Field(
        default="label",
        description="Column of the labels; `null` leaves the samples unlabelled.",
    )


DEFAULT_COLUMNS = ColumnsSpec()


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
        ge=MIN_SIZE,
        le=MAX_SIZE,
        json_schema_extra={"multipleOf": SIZE_STEP},
        description="Edge in px after resizing; the networks may allow fewer sizes. Training costs"
        " grow with its square.",
    )
    channels: int = Field(
        default=3,
        ge=1,
        le=MAX_CHANNELS,
        description="Channels: 1 is grey, 3 is colour, and images are converted to them. Any other"
        " number must be the number of channels of the stored images.",
    )
    background: str = Field(
        default="white",
        pattern="^(white|black|#[0-9a-fA-F]{6})$",
        description='Colour behind transparent pixels: `white`, `black`, or a quoted `"#rrggbb"`.',
    )
    value_range: ValueRange | None = Field(
        default=None,
        description="Stored values that become the darkest and the brightest, `[low, high]` or one"
        " such pair per channel; values beyond are clipped. `null` is the full range of 8 or 16"
        " bits.",
    )
    columns: ColumnsSpec = Field(
        default=DEFAULT_COLUMNS, description="Names of the columns of `parquet:PATH`."
    )
    limit: Count | None = Field(
        default=None,
        description="Largest number of samples to use, chosen by the seed; `null` uses all.",
    )

    @property
    def kind(self) -> str:
        """The name of the data set without a path, such as `imagefolder`."""
        kind = self.domain.partition(":")[0]
        return kind if kind in PATH_KINDS else self.domain

    @property
    def background_rgb(self) -> tuple[int, int, int]:
        """The background in RGB, 0 to 255."""
        if self.background in _COLOURS:
            return _COLOURS[self.background]
        red, green, blue = bytes.fromhex(self.background[1:])
        return red, green, blue

    @property
    def intervals(self) -> tuple[Interval, ...] | None:
        """The value range as one pair, or one per channel; None for the full range."""
        if self.value_range is None:
            return None
        return tuple(_pairs(self.value_range))

    def form(self) -> dict[str, object]:
        """Return the settings that decide the images of given files, as JSON values.

        Settings that do not change anything are left out, so that new keys do not change the
        identity of old data.
        """
        form = self.model_dump(mode="json", exclude={"domain", "columns"})
        for key in ("background", "value_range"):
            if form[key] == DomainSpec.model_fields[key].default:
                del form[key]
        return form | {"domain": self.kind}

    def resolved(self) -> Self:
        """Return the section with an absolute path, if its data set has a path."""
        return self.model_copy(update={"domain": _absolute_name(self.domain)})

    @field_validator("size")
    @classmethod
    def _multiple(cls, size: int) -> int:
        if size % SIZE_STEP:
            sizes = range(MIN_SIZE, MAX_SIZE + 1, SIZE_STEP)
            raise ValueError(
                f"size must be a multiple of {SIZE_STEP} from {MIN_SIZE} to {MAX_SIZE}, not {size}:"
                f" take {nearest_sizes(size, sizes)}"
            )
        return size

    @model_validator(mode="after")
    def _value_range_fits(self) -> DomainSpec:
        if self.value_range is None:
            return self
        pairs = _pairs(self.value_range)
        for low, high in pairs:
            if not 0 <= low < high:
                raise ValueError(
                    f"value_range: low must be from 0 and below high, not [{low:g}, {high:g}]"
                )
        if len(pairs) not in (1, self.channels):
            raise ValueError(
                f"value_range has {len(pairs)} pairs for {self.channels} channel(s): give one pair"
                " for all of them, or one per channel"
            )
        return self


class TargetSpec(DomainSpec):
    """The data set to adapt to."""

    train_labels: Annotated[int, Field(ge=0)] = Field(
        default=0,
        description="Labelled target images per class for training (`loss_weights.task_target`)."
        " They are in neither target_val nor target_test.",
    )
    test: str | None = Field(
        default=None,
        description="Data set that is the held-out test set, such as `usps:test` for the domain"
        " `usps`, or an image folder for an image folder; `limit` does not reduce it. `null`"
        " withholds `target_test_fraction` of `domain`.",
    )

    def resolved(self) -> Self:
        """Return the section with absolute paths; see `DomainSpec.resolved`."""
        resolved = super().resolved()
        if self.test is None:
            return resolved
        return resolved.model_copy(update={"test": _absolute_name(self.test)})

    def test_domain(self) -> DomainSpec | None:
        """Return the data set of `test` in the form of this one, or None without one."""
        if self.test is None:
            return None
        form = self.model_dump(include=set(DomainSpec.model_fields))
        return DomainSpec.model_validate(form | {"domain": self.test, "limit": None})

    def form(self) -> dict[str, object]:
        """Return the settings that decide the images of given files; see `DomainSpec.form`."""
        form = super().form()
        del form["train_labels"]
        del form["test"]
        return form


class DataSpec(Section):
    """The two domains and their splits."""

    source: DomainSpec = Field(description="The labelled domain.")
    target: TargetSpec = Field(
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
        " target is for training, without its labels. Not used with `target.test`.",
    )

    def resolved(self) -> DataSpec:
        """Return the section with absolute paths.

        Commands on the results or the export may run in another working directory, where relative
        paths lead elsewhere.
        """
        domains = {"source": self.source.resolved(), "target": self.target.resolved()}
        cache = self.cache if self.cache is None else absolute_path(self.cache)
        return self.model_copy(update={"root": absolute_path(self.root), "cache": cache, **domains})

    @model_validator(mode="after")
    def _domains_fit(self) -> DataSpec:
        source, target = self.source, self.target
        if (source.size, source.channels) != (target.size, target.channels):
            raise ValueError(
                "source and target must agree in size and channels:"
                f" source is {source.size} px with {source.channels},"
                f" target {target.size} px with {target.channels}"
            )
        withholds_test = self.target.test is None
        if withholds_test and self.target_val_fraction + self.target_test_fraction >= 1:
            raise ValueError(
                "target_val_fraction + target_test_fraction must leave room for training"
            )
        return self


def cache_folder(cache: str | None = None) -> Path:
    """Return the folder of prepared images for a value of `data.cache`."""
    folder = Path(cache or os.environ.get(_CACHE_VARIABLE) or _DEFAULT_CACHE)
    return folder.expanduser().absolute()


def absolute_path(path: str) -> str:
    """Return an absolute path; one in a home folder stays as it is."""
    return path if path.startswith("~") else str(Path(path).absolute())


def _absolute_name(name: str) -> str:
    """Return the name of a data set with an absolute path, if it has a path."""
    kind, _, path = name.partition(":")
    return f"{kind}:{absolute_path(path)}" if kind in PATH_KINDS else name


def nearest_sizes(size: int, allowed: Sequence[int]) -> str:
    """Return the allowed sizes next to `size`, such as "96 or 128".

    Args:
        allowed: sizes in px, ascending, at least one of them.
    """
    below = [other for other in allowed if other < size]
    above = [other for other in allowed if other > size]
    return " or ".join(str(other) for other in (*below[-1:], *above[:1]))


def _pairs(value_range: ValueRange) -> list[Interval]:
    """Return one pair, or one pair per channel."""
    pairs = [bounds for bounds in value_range if isinstance(bounds, tuple)]
    if pairs:
        return pairs
    low, high = (bound for bound in value_range if isinstance(bound, float))
    return [(low, high)]
