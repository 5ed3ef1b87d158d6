"""The settings that a search tries first, validated against the space."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from adaptune.spec.diagnostics import Diagnostics, dotted, quote
from adaptune.spec.distributions import Choice, Distribution, Int, Value, is_number
from adaptune.spec.field_form import in_field_form
from adaptune.spec.space import Space
from adaptune.spec.yaml_reader import Key

_ABSENT = object()
AT: Key = ("search", "start_points")


def read_start_points(
    raw: object,
    space: Space,
    fixed: Mapping[str, object],
    overrides: Collection[Key],
    diagnostics: Diagnostics,
) -> list[dict[str, Value]]:
    """Return the start points with dotted paths, searched values only, without repeated points.

    A key that an override fixed is dropped, because the command line takes precedence.

    Args:
        raw: the value of `search.start_points` in the file.
        fixed: the sections with the values that are not searched.
        overrides: the keys that were given by `--set`.
    """
    if not isinstance(raw, list):
        diagnostics.add_value(AT, raw, "must be a list of settings")
        return []
    points: list[dict[str, Value]] = []
    for index, setting in enumerate(raw):
        key = (*AT, index)
        if not isinstance(setting, dict):
            diagnostics.add_value(key, setting, "must be a mapping such as {loss_weights.cycle: 1}")
            continue
        point: dict[str, Value] = {}
        for value_key, path, raw_value in _flatten(setting, key):
            value = in_field_form(path, raw_value)
            if path in space:
                message = mismatch(value, space[path])
                if message is None:
                    point[path] = as_drawn(value, space[path])
                else:
                    _add(diagnostics, value_key, path, value, message)
            elif not _may_be_dropped(path, value, fixed, overrides, diagnostics):
                names = ", ".join(space) or "none"
                _add(diagnostics, value_key, path, value, f"is not searched; searched: {names}")
        point = dict(sorted(point.items()))
        if point and point not in points:
            points.append(point)
    return points


def _flatten(
    setting: dict[str, object], key: Key, path: str = ""
) -> Iterator[tuple[Key, str, object]]:
    """Yield the key in the file, the dotted path and the value of everything in a setting."""
    for name, value in setting.items():
        inner_key = (*key, name)
        inner_path = f"{path}.{name}" if path else name
        if isinstance(value, dict):
            yield from _flatten(value, inner_key, inner_path)
        else:
            yield inner_key, inner_path, value


def mismatch(value: object, distribution: Distribution) -> str | None:
    """Return what the distribution can draw if it cannot draw `value`, otherwise None."""
    if distribution.contains(value):
        return None
    if isinstance(distribution, Choice):
        return f"must be one of: {', '.join(quote(item) for item in distribution.values)}"
    low, high = distribution.low, distribution.high
    if isinstance(distribution, Int) and is_number(value) and low <= value <= high:
        return f"must be {low:g} plus a multiple of {distribution.step}"
    alternative = ", or 0" if distribution.contains(0) and low > 0 else ""
    return f"must be a number from {low:g} to {high:g}{alternative}"


def as_drawn(value: object, distribution: Distribution) -> Value:
    """Return a value in the form in which the distribution draws it: 1.0 for 1, 3 for 3.0."""
    if isinstance(distribution, Choice):
        return next(listed for listed in distribution.values if listed == value)
    assert is_number(value)
    return int(value) if isinstance(distribution, Int) else float(value)


def _may_be_dropped(
    path: str,
    value: object,
    fixed: Mapping[str, object],
    overrides: Collection[Key],
    diagnostics: Diagnostics,
) -> bool:
    """Return whether a value that is not searched is to be ignored without a message."""
    key: Key = tuple(path.split("."))
    is_overridden = any(key[:end] in overrides for end in range(1, len(key) + 1))
    if key in diagnostics.keys or is_overridden:
        return True
    node: object = fixed
    for part in key:
        node = node.get(str(part), _ABSENT) if isinstance(node, Mapping) else _ABSENT
    return node is not _ABSENT and node == value


def _add(diagnostics: Diagnostics, key: Key, path: str, value: object, message: str) -> None:
    diagnostics.add(key, f"{dotted(key[:3])}: {path} = {quote(value)}: {message}")
