"""The distributions of a raw tree, validated against the fields whose values they draw."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from itertools import combinations, product
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from adaptune.spec.base import Fixed, OnlyIn, fields_along
from adaptune.spec.diagnostics import Diagnostics, add_errors, dotted, phrase, quote
from adaptune.spec.distributions import KINDS, Choice, Distribution, Int, LogUniform, Uniform, Value
from adaptune.spec.loss_terms import METHODS
from adaptune.spec.schema import GRID_WITH_CONDITION, SEARCHABLE, TrialSpec
from adaptune.spec.sharing import obstacle_of_values
from adaptune.spec.tree import put
from adaptune.spec.yaml_reader import Key

Space = dict[str, Distribution]
M = TypeVar("M", bound=BaseModel)

# Settings outside of the networks that have to go together.
_TEACHER = ("loss_weights.consistency", "training.classifier_ema_decay")
_MAX_PROBED_INTEGERS = 100
_PAIRED_VALUES = 6  # per distribution, in addition to both ends; fits grow or shrink with sizes
_GOLDEN_SECTION = 0.382  # of a range: no round number, so that no field allows it by accident


def extract(tree: dict[str, object], diagnostics: Diagnostics, at: Key = ()) -> Space:
    """Replace each distribution in `tree` by a value of it, and return them by dotted path.

    A faulty distribution is reported and removed, so that the rest can still be checked.

    Args:
        at: the key whose value `tree` is.
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
            tree[name] = distribution.stand_in()
    return dict(sorted(space.items()))  # independent of the order in the file


def check_conditions(tree: dict[str, object], space: Space, diagnostics: Diagnostics) -> None:
    """Refuse a `when` that can never hold, and any `when` of a grid.

    A condition must name values of a searched, unconditional choice.
    """
    choices = {
        path: distribution.values
        for path, distribution in space.items()
        if isinstance(distribution, Choice) and not distribution.when
    }
    names = ", ".join(choices) or "none"
    for path, distribution in space.items():
        key = (*path.split("."), "when")
        if distribution.when and sampler_name(tree) == "grid":
            diagnostics.add(key, f"{path}: when: {GRID_WITH_CONDITION}")
        for other, allowed in distribution.when.items():
            if other not in choices:
                message = f"{other} is not a searched choice; those are: {names}"
                diagnostics.add(key, f"{path}: when: {message}")
                continue
            possible = ", ".join(quote(value) for value in choices[other])
            for value in allowed:
                if value not in choices[other]:
                    message = f"{other} is never {quote(value)}, but one of: {possible}"
                    diagnostics.add(key, f"{path}: when: {message}")


def check_method(tree: dict[str, object], space: Space, diagnostics: Diagnostics) -> None:
    """Refuse to search a value that has no effect in the method."""
    method = method_of(tree)
    for path in space:
        for field in fields_along(path, TrialSpec):
            restrictions = [item for item in field.metadata if isinstance(item, OnlyIn)]
            for restriction in restrictions:
                if method in METHODS and method != restriction.method:
                    diagnostics.add(
                        tuple(path.split(".")),
                        f"{path}: has no effect in method {method};"
                        f" fix it, or take method {restriction.method}",
                    )


def check_sharing(tree: dict[str, object], space: Space, diagnostics: Diagnostics) -> None:
    """Refuse several classifiers per GAN if f_T affects the GAN, or if nothing of f_T is searched.

    The section `search` refuses those that its sampler excludes.
    """
    count = _section(tree, "search").get("classifiers_per_gan")
    if not isinstance(count, int) or count <= 1:
        return
    if diagnostics.keys:
        return  # a faulty distribution is not in the space
    obstacle = obstacle_of_values(space, method_of(tree), _section(tree, "training"))
    if obstacle is not None:
        key = ("search", "classifiers_per_gan")
        diagnostics.add(key, f"{dotted(key)}: {obstacle}")


def check_fields(tree: dict[str, object], space: Space, diagnostics: Diagnostics) -> None:
    """Validate TrialSpec with values of each distribution in its field.

    Each distribution is checked alone. Those that have to go together, such as the sizes of
    networks, are then checked in pairs.
    """
    sections = {name: value for name, value in tree.items() if name in TrialSpec.model_fields}
    base = validation_errors(TrialSpec, sections)
    reported = {_error_key(error) for error in base}
    for error in base:
        if not error["loc"]:  # of several sections; all such checks are against the image size
            diagnostics.add(("data",), f"data: {phrase(error)}")
    probes = list(_singles(space))
    if not base:
        probes += _pairs(space)
        # Terms that may be off one by one need not go together when all of them are.
        probes.append({path: 0.0 for path in space if _draws_zero(space[path])})
    for values in filter(None, probes):
        for error in validation_errors(TrialSpec, _with_values(sections, values)):
            if _error_key(error) not in reported:
                reported.add(_error_key(error))
                _add_probe_error(error, values, space, diagnostics)


def validation_errors(model: type[BaseModel], tree: Mapping[str, object]) -> list[ErrorDetails]:
    """Return pydantic's errors about a raw tree, none if it is valid."""
    try:
        validate(model, tree)
    except ValidationError as error:
        return error.errors()
    return []


def validate(model: type[M], tree: Mapping[str, object]) -> M:
    """Validate without coercion: `yes` is not a number, and 1.0 is not a whole one.

    The tree takes the way through JSON, because pydantic's strict mode refuses mappings and lists
    from Python.

    Raises:
        pydantic.ValidationError: the tree is not valid.
    """
    return model.model_validate_json(json.dumps(tree, default=str), strict=True)


def _section(tree: dict[str, object], name: str) -> dict[str, object]:
    section = tree.get(name)
    return section if isinstance(section, dict) else {}


def method_of(tree: dict[str, object]) -> object:
    """Return the method in a raw tree."""
    return tree.get("method", TrialSpec.model_fields["method"].default)


def sampler_name(tree: dict[str, object]) -> object:
    """Return the name of the sampler in a raw tree."""
    sampler = _section(tree, "search").get("sampler", "tpe")
    return sampler.get("name", "tpe") if isinstance(sampler, dict) else sampler


def _read(raw: dict[str, object], key: Key, diagnostics: Diagnostics) -> Distribution | None:
    """Return the distribution that a raw mapping describes; None if it has a fault."""
    if key[0] not in SEARCHABLE:
        *others, last = SEARCHABLE
        message = f"only {', '.join(others)} and {last} may hold a distribution"
        diagnostics.add_value(key, raw, message)
        return None
    for field in fields_along(dotted(key), TrialSpec):
        for item in field.metadata:
            if isinstance(item, Fixed):
                diagnostics.add_value(key, raw, f"cannot be searched: {item.reason}")
                return None
    kind = KINDS.get(str(raw["search"]))
    if kind is None:
        diagnostics.add_value(
            (*key, "search"), raw["search"], f"must be one of: {', '.join(KINDS)}"
        )
        diagnostics.keys.add(key)
        return None
    try:
        return validate(kind, raw)
    except ValidationError as error:
        add_errors(diagnostics, error.errors(), kind, at=key)
        diagnostics.keys.add(key)
        return None


def _add_probe_error(
    error: ErrorDetails, values: dict[str, Value], space: Space, diagnostics: Diagnostics
) -> None:
    """Report an error that TrialSpec has only with these values of distributions."""
    path, value = next(iter(values.items()))
    key: Key = tuple(path.split("."))
    if not error["loc"]:
        settings = ", ".join(f"{name} = {quote(item)}" for name, item in values.items())
        diagnostics.add(key, f"{settings}: {phrase(error)}")
    elif key not in diagnostics.keys or value in space[path].bounds():
        add_errors(diagnostics, [error], TrialSpec)


def _probes(distribution: Distribution) -> tuple[Value, ...]:
    """Return values that a field must allow if it is to allow the whole distribution."""
    if isinstance(distribution, Int):
        return *distribution.bounds(), *distribution.drawable()[:_MAX_PROBED_INTEGERS]
    if isinstance(distribution, Uniform | LogUniform):
        # An inner value refuses the fields that allow a few numbers only, such as 2, 4 and 8.
        width = distribution.high - distribution.low
        inner = distribution.low + _GOLDEN_SECTION * width
        zeros = (0.0,) if _draws_zero(distribution) else ()
        return *distribution.bounds(), inner, *zeros
    return distribution.bounds()


def _draws_zero(distribution: Distribution) -> bool:
    return isinstance(distribution, LogUniform) and distribution.zero > 0


def _singles(space: Space) -> Iterator[dict[str, Value]]:
    for path, distribution in space.items():
        for value in _probes(distribution):
            yield {path: value}


def _pairs(space: Space) -> Iterator[dict[str, Value]]:
    """Yield pairs of values of two distributions in `model`, or of the teacher of f_T."""
    networks = [path for path in space if path.startswith("model.")]
    teacher = [path for path in _TEACHER if path in space]
    values = {path: _spread(_probes(space[path])) for path in [*networks, *teacher]}
    for first_path, second_path in [*combinations(networks, 2), *combinations(teacher, 2)]:
        for first, second in product(values[first_path], values[second_path]):
            yield {first_path: first, second_path: second}


def _spread(probes: tuple[Value, ...]) -> list[Value]:
    """Return some of the probes, evenly spaced, and the first two, which are a range's bounds."""
    step = max(1, len(probes) // _PAIRED_VALUES)
    return [*probes[:2], *probes[2::step], probes[-1]]


def _with_values(tree: dict[str, object], values: dict[str, Value]) -> dict[str, object]:
    changed = copy.deepcopy(tree)
    for path, value in values.items():
        put(changed, path, value)
    return changed


def _error_key(error: ErrorDetails) -> tuple[object, ...]:
    """Return what tells an error apart from others, to report each of them once."""
    detail = str(error["input"]) if error["loc"] else phrase(error)
    return error["loc"], error["type"], detail
