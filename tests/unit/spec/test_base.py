from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import ValidationError

from adaptune.spec.base import Count, Fixed, Section, fields_along, is_section


class Inner(Section):
    count: Count = 1


class Outer(Section):
    inner: Annotated[Inner, Fixed("of a test")] = Inner()
    number: float = 0.5


@pytest.mark.parametrize(
    "tree", [{"numbr": 1}, {"inner": {"count": 0}}, {"number": float("nan")}, {"inner": 3}]
)
def test_a_section_refuses_unknown_keys_and_bad_values(tree: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Outer.model_validate(tree)


def test_a_section_never_changes() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Outer().number = 3


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("number", ["number"]),
        ("inner.count", ["inner", "count"]),
        ("inner.other", ["inner"]),
        ("number.other", ["number"]),
        ("other", []),
    ],
)
def test_the_fields_along_a_path_end_where_it_leaves_the_sections(
    path: str, names: list[str]
) -> None:
    all_fields = Outer.model_fields | Inner.model_fields
    assert fields_along(path, Outer) == [all_fields[name] for name in names]


def test_metadata_is_found_on_the_field_around_a_path() -> None:
    assert Fixed("of a test") in fields_along("inner.count", Outer)[0].metadata


def test_only_subclasses_of_section_are_sections() -> None:
    assert is_section(Inner)
    assert not is_section(float)
    assert not is_section(Inner | None)
    assert not is_section(Inner())
