"""YAML as plain values, with the line of each key."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import yaml

from adaptune.spec.yaml_types import (
    COLLECTIONS,
    MERGE,
    Budget,
    ContentError,
    Loader,
    check_depth,
    scalar,
    text_of,
    unknown_tag,
)

Key = tuple[str | int, ...]
_Pairs = dict[str, tuple[yaml.Node, yaml.Node]]

MAX_CHARACTERS = 400_000


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
    """Read one YAML document, in about a second at most.

    Raises:
        yaml.YAMLError: the text is not YAML; a ContentError if it has contents that no search space
            file has.
    """
    if len(text) > MAX_CHARACTERS:
        raise ContentError(problem=f"longer than {MAX_CHARACTERS:,} characters")
    try:
        loader = Loader(text)
    except yaml.reader.ReaderError as error:
        raise _unreadable_character(text, error) from error
    try:
        node = loader.get_single_node()
    except (ValueError, OverflowError) as error:  # of an escape such as "\U00110000"
        raise ContentError(problem=str(error), problem_mark=loader.get_mark()) from error
    finally:
        loader.dispose()
    builder = _Builder()
    if node is not None:
        builder.document.tree = builder.build(node, ())
    return builder.document


class _Builder:
    """Turns composed nodes into a document."""

    def __init__(self) -> None:
        self.document = Document()
        self._budget = Budget()

    def build(self, node: yaml.Node, key: Key) -> object:
        """Return the value of a node."""
        self._budget.spend(node.start_mark)
        check_depth(len(key), node.start_mark)  # an alias that contains itself has no end
        if isinstance(node, yaml.ScalarNode):
            return scalar(node)
        if node.tag not in COLLECTIONS:
            raise unknown_tag(node)
        if isinstance(node, yaml.MappingNode):
            return self._build_mapping(node, key)
        items = []
        for index, item in enumerate(node.value):
            self.document.lines[(*key, index)] = _line(item)
            items.append(self.build(item, (*key, index)))
        return items

    def _build_mapping(self, node: yaml.MappingNode, key: Key) -> dict[str, object]:
        self._note_repeats(node, key)
        tree: dict[str, object] = {}
        for name, (name_node, value_node) in self._pairs(node, len(key)).items():
            child = (*key, name)
            self.document.lines[child] = _line(name_node)
            tree[name] = self.build(value_node, child)
        return tree

    def _pairs(self, node: yaml.MappingNode, depth: int) -> _Pairs:
        """Return the nodes of keys and values by key, those that `<<` merges first."""
        check_depth(depth, node.start_mark)
        merged: _Pairs = {}
        pairs: _Pairs = {}
        for name_node, value_node in node.value:
            self._budget.spend(name_node.start_mark)
            if name_node.tag != MERGE:
                pairs[_name(name_node)] = (name_node, value_node)
                continue
            for base in reversed(_merged_mappings(value_node)):  # the first one has precedence
                merged |= self._pairs(base, depth + 1)
        return merged | pairs

    def _note_repeats(self, node: yaml.MappingNode, key: Key) -> None:
        first_lines: dict[str, int] = {}
        for name_node, _ in node.value:
            name = _name(name_node)
            line = _line(name_node)
            if name in first_lines:
                self.document.repeated.append(((*key, name), first_lines[name], line))
            first_lines.setdefault(name, line)


def _name(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise ContentError(problem="a key must be plain text", problem_mark=node.start_mark)
    return text_of(node)


def _merged_mappings(node: yaml.Node) -> list[yaml.MappingNode]:
    """Return the mappings that the value of `<<` names: one, or a list of them."""
    nodes: Iterable[yaml.Node] = [node]
    if isinstance(node, yaml.SequenceNode):
        nodes = node.value
    mappings = []
    for mapping in nodes:
        if not isinstance(mapping, yaml.MappingNode):
            raise ContentError(problem="`<<` merges mappings only", problem_mark=mapping.start_mark)
        mappings.append(mapping)
    return mappings


def _unreadable_character(text: str, error: yaml.reader.ReaderError) -> ContentError:
    line = text.count("\n", 0, error.position)
    mark = yaml.Mark("", error.position, line, 0, None, 0)
    code = ord(text[error.position])
    return ContentError(problem=f"the character U+{code:04X} is not allowed", problem_mark=mark)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
