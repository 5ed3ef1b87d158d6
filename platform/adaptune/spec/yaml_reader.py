"""YAML read into plain values, with the line on which each key stands."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import yaml

Key = tuple[str | int, ...]

MAX_DEPTH = 20

# PyYAML follows YAML 1.1, where 1e-3 is text; everyone who writes it means the number.
_SCIENTIFIC = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$")


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader that also takes 1e-3 as a number."""


class Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper that quotes what `Loader` would take as a number."""


Loader.add_implicit_resolver("tag:yaml.org,2002:float", _SCIENTIFIC, list("-+.0123456789"))
Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _SCIENTIFIC, list("-+.0123456789"))


@dataclass
class Document:
    """A YAML text: its values, the line (from 1) of each key, and the keys that stand there twice."""

    tree: object = None
    lines: dict[Key, int] = field(default_factory=dict)
    repeated: list[tuple[Key, int, int]] = field(
        default_factory=list
    )  # key, first line, second line


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
    if len(key) > MAX_DEPTH:  # an alias that holds itself has no end
        raise yaml.MarkedYAMLError(
            problem=f"deeper than {MAX_DEPTH} levels", problem_mark=node.start_mark
        )
    if isinstance(node, yaml.MappingNode):
        _note_repeats(node, key, document)
        loader.flatten_mapping(node)  # puts what `<<` merges in front
        tree: dict[str, object] = {}
        for name, value in node.value:
            child = (*key, _text(name))
            document.lines[child] = _line(name)
            tree[_text(name)] = _build(loader, value, child, document)
        return tree
    if isinstance(node, yaml.SequenceNode):
        items = []
        for index, item in enumerate(node.value):
            document.lines[(*key, index)] = _line(item)
            items.append(_build(loader, item, (*key, index), document))
        return items
    value = loader.construct_object(node)
    # A date is the one scalar that a spec has no use for; as text it gets a readable fault.
    return (
        value if value is None or isinstance(value, bool | int | float | str) else str(node.value)
    )


def _note_repeats(node: yaml.MappingNode, key: Key, document: Document) -> None:
    seen: dict[str, int] = {}
    for name, _ in node.value:
        if _text(name) in seen:
            document.repeated.append(((*key, _text(name)), seen[_text(name)], _line(name)))
        seen.setdefault(_text(name), _line(name))


def _text(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise yaml.MarkedYAMLError(problem="a key must be plain text", problem_mark=node.start_mark)
    return str(node.value)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
