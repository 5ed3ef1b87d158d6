"""YAML as plain values, with the line of each key."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import yaml

Key = tuple[str | int, ...]

MAX_DEPTH = 20

# PyYAML follows YAML 1.1, which reads 1e-3 as text; everyone who writes it means the number.
_SCIENTIFIC = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$")


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader that also reads 1e-3 as a number."""


class Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper that quotes text which `Loader` would read as a number."""


Loader.add_implicit_resolver("tag:yaml.org,2002:float", _SCIENTIFIC, list("-+.0123456789"))
Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _SCIENTIFIC, list("-+.0123456789"))


@dataclass
class Document:
    """A YAML text.

    Attributes:
        tree: its values.
        lines: the line (from 1) of each key.
        repeated: key, first line and later line of each key that is given twice.
    """

    tree: object = None
    lines: dict[Key, int] = field(default_factory=dict)
    repeated: list[tuple[Key, int, int]] = field(default_factory=list)


def parse(text: str) -> Document:
    """Read one YAML document.

    Raises:
        yaml.YAMLError: the text is not YAML.
    """
    loader = Loader(text)
    try:
        document = Document()
        node = loader.get_single_node()
        if node is not None:
            document.tree = _build(loader, node, (), document)
        return document
    finally:
        loader.dispose()


def _build(loader: Loader, node: yaml.Node, key: Key, document: Document) -> object:
    if len(key) > MAX_DEPTH:  # an alias that contains itself has no end
        raise yaml.MarkedYAMLError(
            problem=f"deeper than {MAX_DEPTH} levels", problem_mark=node.start_mark
        )
    if isinstance(node, yaml.MappingNode):
        return _build_mapping(loader, node, key, document)
    if isinstance(node, yaml.SequenceNode):
        items = []
        for index, item in enumerate(node.value):
            document.lines[(*key, index)] = _line(item)
            items.append(_build(loader, item, (*key, index), document))
        return items
    value = loader.construct_object(node)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    # A date is the one other scalar; as text it gets a message that can be read.
    return str(node.value)


def _build_mapping(
    loader: Loader, node: yaml.MappingNode, key: Key, document: Document
) -> dict[str, object]:
    _note_repeats(node, key, document)
    loader.flatten_mapping(node)  # puts what `<<` merges in front
    tree: dict[str, object] = {}
    for name_node, value_node in node.value:
        name = _text(name_node)
        child = (*key, name)
        document.lines[child] = _line(name_node)
        tree[name] = _build(loader, value_node, child, document)
    return tree


def _note_repeats(node: yaml.MappingNode, key: Key, document: Document) -> None:
    first_lines: dict[str, int] = {}
    for name_node, _ in node.value:
        name = _text(name_node)
        line = _line(name_node)
        if name in first_lines:
            document.repeated.append(((*key, name), first_lines[name], line))
        first_lines.setdefault(name, line)


def _text(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise yaml.MarkedYAMLError(problem="a key must be plain text", problem_mark=node.start_mark)
    return str(node.value)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
