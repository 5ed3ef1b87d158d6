"""Takes the distributions out of a raw tree, and holds them against the fields they stand for."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from itertools import combinations, product
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from adaptune.spec.diagnostics import Diagnostics, add_errors, dotted, plain, shown
from adaptune.spec.distributions import Choice, Distribution, Int, LogUniform, Uniform, Value
from adaptune.spec.schema import SEARCHABLE, TrialSpec, put
from adaptune.spec.yaml_reader import Key

Space = dict[str, Distribution]
M = TypeVar("M", bound=BaseModel)

_KINDS: dict[str, type[Uniform | LogUniform | Int | Choice]] = {
    "uniform": Uniform,
    "loguniform": LogUniform,
    "int": Int,
    "choice": Choice,
}
_FIXED = {  # what all trials of a search must share
    "training.source": "the source stage runs once a search",
    "training.augment": "the source stage shares it, and runs once a search",
    "model.classifier": "the source stage trains this net, and runs once a search",
    "training.lr_decay_from": "the source stage shares it, and runs once a search",
    "training.epochs": "ASHA needs one budget for all trials",
    "training.steps_per_epoch": "ASHA needs one budget for all trials",
}
_CYCADA_ONLY = (
    "loss_weights.semantic",
    "loss_weights.feature",
    "loss_weights.information",
    "model.feature_discriminator.width",
    "training.feature_discriminator_lr",
    "training.feature_gate",
    "training.semantic_gate",
    "training.semantic_labels",
)
_MAX_PROBED_INTEGERS = 100


def extract(tree: dict[str, object], diagnostics: Diagnostics, at: Key = ()) -> Space:
    """Replace each distribution in `tree` by its first extreme; return them by dotted key.

    A faulty one is noted and taken out, so that the checks of the rest can go on.
    """
    space: Space = {}
    for name, value in list(tree.items()):
        key = (*at, name)
        if not isinstance(value, dict):
            continue
        if "search" not in value:
            space |= extract(value, diagnostics, key)
            continue
        distribution = _read(value, key, diagnostics)
        if distribution is None:
            del tree[name]
        else:
            space[dotted(key)] = distribution
            tree[name] = distribution.otherwise if distribution.when else distribution.extremes()[0]
    return dict(sorted(space.items()))  # the sampler draws in this order, whatever the file's


def check_conditions(space: Space, diagnostics: Diagnostics) -> None:
    """Refuse a `when` that does not name values of a searched, unconditional choice."""
    choices = {
        path: one.values for path, one in space.items() if isinstance(one, Choice) and not one.when
    }
    for path, distribution in space.items():
        for other, allowed in distribution.when.items():
            place = (*path.split("."), "when")
            if other not in choices:
                known = ", ".join(choices) or "none"
                diagnostics.add(
                    place, f"{path}: when: {other} is no searched choice; there are {known}"
                )
                continue
            for value in allowed:
                if value not in choices[other]:
                    possible = ", ".join(map(shown, choices[other]))
                    diagnostics.add(
                        place,
                        f"{path}: when: {other} is never {shown(value)}, but one of: {possible}",
                    )


def check_method(tree: dict[str, object], space: Space, diagnostics: Diagnostics) -> None:
    """Refuse to search what the method does not use: all its values would do alike."""
    if tree.get("method") == "cyclegan":
        for path in _CYCADA_ONLY:
            if path in space:
                diagnostics.add(
                    tuple(path.split(".")),
                    f"{path}: has no effect in method cyclegan; fix it, or take method cycada",
                )


def check_fields(tree: dict[str, object], space: Space, diagnostics: Diagnostics) -> None:
    """Put the extremes in the place of their field: each alone, then in pairs, for the cross checks."""
    sections = {name: value for name, value in tree.items() if name in TrialSpec.model_fields}
    base = errors_of(TrialSpec, sections)
    known = {_identity(error) for error in base}
    for error in base:
        if not error["loc"]:  # the sizes do not fit together; all such checks are against the data
            diagnostics.add(("data",), f"data: {plain(error)}")
    singles = list(_singles(space))
    for values in singles if base else (*singles, *_pairs(space)):
        for error in errors_of(TrialSpec, _with(sections, values)):
            if _identity(error) in known:
                continue
            known.add(_identity(error))
            path, value = next(iter(values.items()))
            key: Key = tuple(path.split("."))
            if error["loc"]:
                if key not in diagnostics.keys or value in space[path].extremes():
                    add_errors(diagnostics, [error], TrialSpec)
            else:
                setting = ", ".join(f"{name} = {shown(one)}" for name, one in values.items())
                diagnostics.add(key, f"{setting}: {plain(error)}")


def errors_of(model: type[BaseModel], tree: Mapping[str, object]) -> list[ErrorDetails]:
    try:
        validate(model, tree)
    except ValidationError as error:
        return error.errors()
    return []


def validate(model: type[M], tree: Mapping[str, object]) -> M:
    """Validate without coercion: `yes` is no number, and 1.0 no whole one.

    By way of JSON, because pydantic's strict mode refuses mappings and lists from Python.
    """
    return model.model_validate_json(json.dumps(tree, default=str), strict=True)


def _read(raw: dict[str, object], key: Key, diagnostics: Diagnostics) -> Distribution | None:
    if key[0] not in SEARCHABLE:
        *others, last = SEARCHABLE
        diagnostics.add_value(
            key, raw, f"only {', '.join(others)} and {last} may hold a distribution"
        )
        return None
    for path, why in _FIXED.items():
        if f"{dotted(key)}.".startswith(f"{path}."):
            diagnostics.add_value(key, raw, f"cannot be searched: {why}")
            return None
    model = _KINDS.get(str(raw["search"]))
    if model is None:
        diagnostics.add_value(
            (*key, "search"), raw["search"], f"must be one of: {', '.join(_KINDS)}"
        )
        diagnostics.keys.add(key)
        return None
    try:
        return validate(model, raw)
    except ValidationError as error:
        add_errors(diagnostics, error.errors(), model, at=key)
        diagnostics.keys.add(key)
        return None


def _probes(distribution: Distribution) -> tuple[Value, ...]:
    """Values that a field must take if it is to take all of the distribution."""
    if isinstance(distribution, Int):
        drawn = range(distribution.low, distribution.high + 1, distribution.step)
        return *distribution.extremes(), *drawn[:_MAX_PROBED_INTEGERS]
    if isinstance(distribution, Uniform | LogUniform):
        # A value within refuses the fields that take a few numbers only, such as 2, 4 and 8.
        return *distribution.extremes(), distribution.low + 0.382 * (
            distribution.high - distribution.low
        )
    return distribution.extremes()


def _singles(space: Space) -> Iterator[dict[str, Value]]:
    for path, distribution in space.items():
        for value in _probes(distribution):
            yield {path: value}


def _pairs(space: Space) -> Iterator[dict[str, Value]]:
    nets = {path: _probes(one) for path, one in space.items() if path.startswith("model.")}
    for (path, ours), (other, theirs) in combinations(nets.items(), 2):
        for value, partner in product(ours, theirs):
            yield {path: value, other: partner}


def _with(tree: dict[str, object], values: dict[str, Value]) -> dict[str, object]:
    changed = copy.deepcopy(tree)
    for path, value in values.items():
        put(changed, path, value)
    return changed


def _identity(error: ErrorDetails) -> tuple[object, ...]:
    return error["loc"], error["type"], str(error["input"]) if error["loc"] else plain(error)
