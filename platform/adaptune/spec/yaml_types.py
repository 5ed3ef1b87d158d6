"""The types of plain text in YAML, in reading and in writing, and limits on what is read.

Plain text is read by the core schema of YAML 1.2, as editors read it: `off` and `no` are text, and
1e-3 is a number. PyYAML alone follows YAML 1.1, in which they are truth values and a text.
"""

from __future__ import annotations

import re

import yaml

Scalar = float | int | str | bool | None

# 900 start points of five values each fit. PyYAML reads about 10,000 values per second.
MAX_NODES = 10_000
MAX_DEPTH = 20
_MAX_INTEGER = 2**63  # integers become columns of tables

_PREFIX = "tag:yaml.org,2002:"
_NULL = f"{_PREFIX}null"
_BOOL = f"{_PREFIX}bool"
_INT = f"{_PREFIX}int"
_FLOAT = f"{_PREFIX}float"
_TEXT = f"{_PREFIX}str"
MERGE = f"{_PREFIX}merge"
COLLECTIONS = (f"{_PREFIX}map", f"{_PREFIX}seq")

# The pattern of each type, and the first characters that a match may have. No pattern can match a
# text in two ways: the time that it takes would grow with the square of the text.
_PATTERNS = {
    _NULL: (re.compile(r"(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    _BOOL: (re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), [*"tTfF"]),
    _INT: (re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"), [*"-+0123456789"]),
    _FLOAT: (
        re.compile(
            r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
        ),
        [*"-+.0123456789"],
    ),
    MERGE: (re.compile(r"<<$"), ["<"]),
}


class ContentError(yaml.MarkedYAMLError):
    """YAML with contents that no search space file has; the message is a sentence of its own."""


class Budget:
    """Counter of nodes. An alias counts as often as it is read."""

    def __init__(self) -> None:
        self._nodes = 0

    def spend(self, mark: yaml.Mark) -> None:
        """Count a node, and raise a ContentError if there are more than `MAX_NODES`."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise ContentError(
                problem=f"more than {MAX_NODES:,} values, aliases included", problem_mark=mark
            )


class Loader(yaml.SafeLoader):
    """A loader with the types of YAML 1.2 that refuses to compose too many or too deep nodes."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._budget = Budget()

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node unless there are too many, or it is nested too deeply."""
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        self._budget.spend(mark)
        check_depth(self._depth, mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper that quotes text which YAML 1.1 or 1.2 reads as another type."""


Loader.yaml_implicit_resolvers = {}
for _tag, (_pattern, _first) in _PATTERNS.items():
    Loader.add_implicit_resolver(_tag, _pattern, _first)
    Dumper.add_implicit_resolver(_tag, _pattern, _first)


def check_depth(depth: int, mark: yaml.Mark) -> None:
    """Raise a ContentError if `depth` is more than `MAX_DEPTH` levels."""
    if depth > MAX_DEPTH:
        raise ContentError(problem=f"deeper than {MAX_DEPTH} levels", problem_mark=mark)


def scalar(node: yaml.ScalarNode) -> Scalar:
    """Return the value of a scalar.

    Raises:
        ContentError: it does not have the type of its tag, or the type is not supported.
    """
    if node.tag == _TEXT:
        return text_of(node)
    if node.tag not in _PATTERNS:
        raise unknown_tag(node)
    text = str(node.value)
    pattern, _ = _PATTERNS[node.tag]
    if not pattern.match(text):  # the tag is written out
        kind = node.tag.removeprefix(_PREFIX)
        raise ContentError(problem=f"no value of type {kind}", problem_mark=node.start_mark)
    if node.tag == _NULL:
        return None
    if node.tag == _BOOL:
        return text.lower() == "true"
    if node.tag == _INT:
        return _integer(text, node)
    if node.tag == _FLOAT:
        return float(re.sub(r"\.(?=[a-zA-Z])", "", text))  # .inf and .nan
    return text


def text_of(node: yaml.ScalarNode) -> str:
    """Return the text of a scalar.

    Raises:
        ContentError: it has a character that no path can have: an escape may name NUL, and half of
            a surrogate pair.
    """
    text = str(node.value)
    if "\0" in text:
        raise ContentError(problem="a text has the character NUL", problem_mark=node.start_mark)
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ContentError(
            problem="a text has half of a surrogate pair", problem_mark=node.start_mark
        )
    return text


def unknown_tag(node: yaml.Node) -> ContentError:
    """Return the error of a node whose tag names no type of a search space file."""
    tag = node.tag.replace(_PREFIX, "!!")
    return ContentError(problem=f"the tag {tag} is not supported", problem_mark=node.start_mark)


def _integer(text: str, node: yaml.ScalarNode) -> int:
    digits = text.lstrip("+-0ox")
    if len(digits) <= len(str(_MAX_INTEGER)):  # reading more digits takes time, or is refused
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        value = int(text, base)
        if -_MAX_INTEGER <= value < _MAX_INTEGER:
            return value
    raise ContentError(
        problem=f"a whole number of {len(digits):,} digits does not fit in 64 bits",
        problem_mark=node.start_mark,
    )
