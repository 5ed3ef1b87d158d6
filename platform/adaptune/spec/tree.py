"""Values in nested mappings, by their dotted path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from adaptune.spec.distributions import Value


def value_at(tree: Mapping[str, object], path: str) -> Value:
    """Return the value at a dotted path.

    Raises:
        KeyError: there is none.
    """
    node: object = tree
    for key in path.split("."):
        if not isinstance(node, Mapping):
            raise KeyError(path)
        node = node[key]
    return cast(Value, node)


def put(tree: dict[str, object], path: str, value: object) -> None:
    """Set the value at a dotted path; missing sections are created.

    Raises:
        KeyError: the path leads through a single value.
    """
    *sections, key = path.split(".")
    node = tree
    for section in sections:
        child = node.setdefault(section, {})
        if not isinstance(child, dict):
            raise KeyError(path)
        node = child
    node[key] = value
