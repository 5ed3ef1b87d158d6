"""Sections in which a field may hold a distribution in place of a value."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import Discriminator, Field, Tag, create_model
from pydantic.fields import FieldInfo

from adaptune.spec.base import Fixed, Section, is_section
from adaptune.spec.distributions import KINDS, Distribution

S = TypeVar("S", bound=Section)

_DISTRIBUTIONS = tuple(KINDS.values())


class Searchable(Section, Generic[S]):
    """A section `S` in which every field that may be searched holds a value or a distribution.

    `Searchable[TrainingSpec]` is a pydantic model with the fields of `TrainingSpec`. A type checker
    knows none of them, because a searched field has no value before a trial draws one: read values
    from the `TrialSpec` that `SearchSpec.trial` returns.
    """

    section: ClassVar[type[Section]]

    @classmethod
    def __class_getitem__(cls, section: object) -> type[Searchable[Section]]:
        """Return the model that is derived from `section`."""
        assert is_section(section)
        return _derive(section)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by section: a derived class has no importable name."""
        return _restore, (self.section, dict(self), self.model_fields_set)

    def distributions(self) -> dict[str, Distribution]:
        """Return the distributions in this section by their dotted path from here."""
        paths: dict[str, Distribution] = {}
        for name, value in self:
            if isinstance(value, _DISTRIBUTIONS):
                paths[name] = value
            elif isinstance(value, Searchable):
                for path, distribution in value.distributions().items():
                    paths[f"{name}.{path}"] = distribution
        return paths


def searchable_paths(section: type[Section]) -> Iterator[str]:
    """Yield the dotted path of every field of a section, and of those in it, that may be searched.

    The paths begin in the section.
    """
    for name, field in section.model_fields.items():
        if _is_fixed(field):
            continue
        if is_section(field.annotation):
            for path in searchable_paths(field.annotation):
                yield f"{name}.{path}"
        else:
            yield name


@cache
def _derive(section: type[Section]) -> type[Searchable[Section]]:
    fields: dict[str, Any] = {}
    for name, field in section.model_fields.items():
        fields[name] = _derive_field(field)
    derived: type[Searchable[Section]] = create_model(
        f"Searchable{section.__name__}", __base__=Searchable, __doc__=section.__doc__, **fields
    )
    derived.section = section
    return derived


def _derive_field(field: FieldInfo) -> tuple[object, object]:
    """Return the type and the default of a field that may hold a distribution."""
    value = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    default = field.default
    if _is_fixed(field):
        annotation: object = value
    elif is_section(field.annotation):
        annotation = _derive(field.annotation)
        default = annotation()
    else:
        annotation = Annotated[
            Annotated[value, Tag("value")] | Annotated[Distribution, Tag("distribution")],
            Discriminator(_kind_of),
        ]
    return annotation, Field(default=default, description=field.description)


def _is_fixed(field: FieldInfo) -> bool:
    return any(isinstance(item, Fixed) for item in field.metadata)


def _kind_of(raw: object) -> str:
    """Return the tag of a raw value: a mapping with the key `search` is a distribution."""
    if isinstance(raw, _DISTRIBUTIONS) or (isinstance(raw, dict) and "search" in raw):
        return "distribution"
    return "value"


def _restore(
    section: type[Section], values: dict[str, object], fields_set: set[str]
) -> Searchable[Section]:
    return _derive(section).model_construct(_fields_set=fields_set, **values)
