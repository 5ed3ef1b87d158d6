"""The settings that a search tries first: brought to one form and held against the space."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from adaptune.spec.diagnostics import Diagnostics, dotted, shown
from adaptune.spec.distributions import Choice, Distribution, Int, Value
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
    """Flatten each start point to dotted keys, keep what is searched, and drop repeated points.

    A key that an override fixed is dropped: the command line wins over the file.

    Args:
        raw: what stands in the file.
        fixed: the sections with the spec's fixed values.
    """
    if not isinstance(raw, list):
        diagnostics.add_value(AT, raw, "must be a list of settings")
        return []
    points: list[dict[str, Value]] = []
    for index, setting in enumerate(raw):
        if not isinstance(setting, dict):
            diagnostics.add_value(
                (*AT, index), setting, "must be a mapping such as {loss_weights.cycle: 1}"
            )
            continue
        point: dict[str, Value] = {}
        for place, path, value in _flatten(setting, (*AT, index)):
            if path in space:
                try:
                    point[path] = _drawable(value, space[path])
                except ValueError as error:
                    _add(diagnostics, place, path, value, str(error))
            elif not _is_settled(path, value, fixed, overrides, diagnostics):
                _add(
                    diagnostics,
                    place,
                    path,
                    value,
                    f"not searched; searched are {', '.join(space) or 'none'}",
                )
        point = dict(sorted(point.items()))
        if point and point not in points:
            points.append(point)
    return points


def _flatten(
    setting: dict[str, object], place: Key, path: str = ""
) -> list[tuple[Key, str, object]]:
    flat = []
    for name, value in setting.items():
        here, full = (*place, name), f"{path}.{name}" if path else name
        if isinstance(value, dict):
            flat += _flatten(value, here, full)
        else:
            flat.append((here, full, value))
    return flat


def _drawable(value: object, distribution: Distribution) -> Value:
    """The value as the distribution would draw it; ValueError says what it can draw."""
    if isinstance(distribution, Choice):
        for one in distribution.values:
            if one == value and isinstance(one, bool) == isinstance(value, bool):
                return one
        raise ValueError(f"must be one of: {', '.join(map(shown, distribution.values))}")
    low, high = distribution.low, distribution.high
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"must be a number from {low:g} to {high:g}")
    if not isinstance(distribution, Int):
        return float(value)
    if value not in range(distribution.low, distribution.high + 1, distribution.step):
        raise ValueError(f"must be {low:g} plus a multiple of {distribution.step}")
    return int(value)


def _is_settled(
    path: str,
    value: object,
    fixed: Mapping[str, object],
    overrides: Collection[Key],
    diagnostics: Diagnostics,
) -> bool:
    """Whether a key outside the space may go without a word."""
    key: Key = tuple(path.split("."))
    if key in diagnostics.keys or any(key[:end] in overrides for end in range(1, len(key) + 1)):
        return True
    node: object = fixed
    for part in key:
        node = node.get(str(part), _ABSENT) if isinstance(node, Mapping) else _ABSENT
    return node is not _ABSENT and node == value


def _add(diagnostics: Diagnostics, place: Key, path: str, value: object, message: str) -> None:
    diagnostics.add(place, f"{dotted(place[:3])}: {path} = {shown(value)}: {message}")
