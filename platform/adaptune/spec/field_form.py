"""Values in the form of their field.

YAML has several ways to write a value of one field: an unquoted `true` for the text "true", 1 for
1.0. Optuna and the tables compare and store values as they are, so that each value has one form.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Annotated, cast

from pydantic import TypeAdapter, ValidationError

from adaptune.spec.base import fields_along
from adaptune.spec.distributions import Choice, Distribution
from adaptune.spec.schema import TrialSpec


def in_field_form(path: str, value: object) -> object:
    """Return a value of the field at a dotted path in the field's form.

    A value that the field does not allow is returned as it is.
    """
    adapter = _adapter(path)
    if adapter is None:
        return value
    try:
        return adapter.validate_json(json.dumps(value, default=str), strict=True)
    except ValidationError:
        return value


def normalise(space: Mapping[str, Distribution]) -> dict[str, Distribution]:
    """Return the space with choices, conditions and their alternatives in the form of their fields.

    Args:
        space: distributions by dotted path.
    """
    return {path: _normalise(path, distribution) for path, distribution in space.items()}


def _normalise(path: str, distribution: Distribution) -> Distribution:
    update: dict[str, object] = {}
    if isinstance(distribution, Choice):
        update["values"] = tuple(in_field_form(path, value) for value in distribution.values)
    if distribution.when:
        update["otherwise"] = in_field_form(path, distribution.otherwise)
        update["when"] = {
            other: tuple(in_field_form(other, value) for value in values)
            for other, values in distribution.when.items()
        }
    return distribution.model_copy(update=update)


@cache
def _adapter(path: str) -> TypeAdapter[object] | None:
    """Return the validator of a field; None if a trial has no such field."""
    fields = fields_along(path, TrialSpec)
    if len(fields) != len(path.split(".")):
        return None
    field = fields[-1]
    annotation: object = field.annotation
    if field.metadata:
        annotation = Annotated[(field.annotation, *field.metadata)]
    return TypeAdapter(cast(type[object], annotation))
