"""Takes the distributions out of a raw tree, and holds them against the fields they stand for."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from itertools import combinations, product

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from adaptune.spec.distributions import Choice, Distribution, Int, LogUniform, Uniform, Value
from adaptune.spec.faults import Faults, add_errors, dotted, plain, shown, unknown
from adaptune.spec.positions import Key
from adaptune.spec.schema import SEARCHABLE, TrialSpec, put

Space = dict[str, Distribution]

_KINDS: dict[object, type[BaseModel]] = {
    "uniform": Uniform, "loguniform": LogUniform, "int": Int, "choice": Choice
}
_MAX_PROBED_INTEGERS = 100


def extract(tree: dict[str, object], faults: Faults, at: Key = ()) -> Space:
    """Replace each distribution in `tree` by its first extreme; return them by dotted key.

    A faulty one is noted and taken out, so that the checks of the rest can go on.
    """
    space: Space = {}
    for name, value in list(tree.items()):
        key = (*at, name)
        if not isinstance(value, dict):
            continue
        if "search" not in value:
            space |= extract(value, faults, key)
            continue
        distribution = _read(value, key, faults)
        if distribution is None:
            del tree[name]
        else:
            space[dotted(key)] = distribution
            tree[name] = distribution.extremes()[0]
    return dict(sorted(space.items()))  # the sampler draws in this order, whatever the file's


def check_fields(tree: dict[str, object], space: Space, faults: Faults) -> None:
    """Put the extremes in the place of their field: each alone, then in pairs, for the cross checks."""
    sections = {name: value for name, value in tree.items() if name in TrialSpec.model_fields}
    base = errors_of(TrialSpec, sections)
    known = {_identity(error) for error in base}
    for error in base:
        if not error["loc"]:  # the sizes do not fit together; all such checks are against the data
            faults.add(("data",), f"data: {plain(error)}")
    singles = list(_singles(space))
    for values in singles if base else (*singles, *_pairs(space)):
        for error in errors_of(TrialSpec, _with(sections, values)):
            if _identity(error) in known:
                continue
            known.add(_identity(error))
            if error["loc"]:
                add_errors(faults, [error], TrialSpec)
            else:
                setting = ", ".join(f"{path} = {shown(value)}" for path, value in values.items())
                faults.add(tuple(next(iter(values)).split(".")), f"{setting}: {plain(error)}")


def errors_of(model: type[BaseModel], tree: Mapping[str, object]) -> list[ErrorDetails]:
    try:
        validate(model, tree)
    except ValidationError as error:
        return error.errors()
    return []


def validate[M: BaseModel](model: type[M], tree: Mapping[str, object]) -> M:
    """Validate without coercion: `yes` is no number, and 1.0 no whole one.

    By way of JSON, because pydantic's strict mode refuses mappings and lists from Python.
    """
    return model.model_validate_json(json.dumps(tree, default=str), strict=True)
