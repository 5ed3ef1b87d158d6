"""The base class of all sections, and metadata that a section gives its fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeGuard

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Rate = Annotated[float, Field(gt=0, le=1)]
Method = Literal["cycada", "cyclegan"]


class Section(BaseModel):
    """Base of all sections: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Fixed:
    """Metadata of a field that all trials of a search share, so that it cannot be searched.

    Attributes:
        reason: why it cannot be searched, as the error message gives it.
    """

    reason: str


@dataclass(frozen=True)
class OnlyIn:
    """Metadata of a field that has no effect in any other method than `method`."""

    method: Method


@dataclass(frozen=True)
class ClassifierSide:
    """Metadata of a field that has an effect on f_T and D_feat only.

    Trials that differ in such fields only can share G_st, G_ts, D_s and D_t.
    """


def fields_along(path: str, root: type[Section]) -> list[FieldInfo]:
    """Return the fields that a dotted path passes through, outermost first.

    The list ends early if the path leaves the sections below `root`.
    """
    fields = []
    section: object = root
    for name in path.split("."):
        if not is_section(section) or name not in section.model_fields:
            break
        field = section.model_fields[name]
        fields.append(field)
        section = field.annotation
    return fields


def is_section(annotation: object) -> TypeGuard[type[Section]]:
    """Return whether a field with this annotation holds a section."""
    return isinstance(annotation, type) and issubclass(annotation, Section)
