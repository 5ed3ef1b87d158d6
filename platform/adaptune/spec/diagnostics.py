"""Everything that is wrong with a spec, said in plain words and where it was written."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Mapping
from typing import get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from adaptune.errors import SpecError
from adaptune.spec.base import Section
from adaptune.spec.schema import SEARCHABLE
from adaptune.spec.yaml_reader import Key

_PHRASES = {
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be >= {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be <= {le:g}",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "finite_number": "must be finite",
    "string_type": "must be text",
    "string_pattern_mismatch": "must be letters, digits, '.', '_' and '-', with a letter or digit first",
    "bool_type": "must be true or false",
    "model_type": "must be a mapping; leave the key out for the defaults",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "too_short": "must hold at least {min_length} value(s)",
}


class Diagnostics:
    """Collects diagnostics, so that a user sees all of them at once.

    Args:
        file: how the messages call the file.
        lines: the line of each key of the file.
        overrides: the keys that a `--set` gave; they have no line.
    """

    def __init__(
        self, file: str, lines: Mapping[Key, int], overrides: Collection[Key] = ()
    ) -> None:
        self._file = file
        self._lines = lines
        self._overrides = overrides
        self._found: dict[str, int] = {}
        self.keys: set[Key] = set()

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, key: Key, message: str) -> None:
        """Note a fault of `key`, placed where the key was written."""
        self.keys.add(key)
        place, line = self._place(key)
        self._found.setdefault(f"{place}: {message}", line)

    def add_line(self, line: int, message: str) -> None:
        self._found.setdefault(f"{self._file}:{line}: {message}", line)

    def add_override(self, override: str, message: str) -> None:
        """Note an override that could not be put in."""
        self._found.setdefault(f"--set {override}: {message}", 0)

    def add_value(self, key: Key, value: object, message: str) -> None:
        self.add(key, f"{dotted(key)} = {shown(value)}: {message}")

    def raise_any(self) -> None:
        """Raise one SpecError with a line for each fault, in the order of the file."""
        if self._found:
            raise SpecError("\n".join(sorted(self._found, key=lambda text: self._found[text])))

    def _place(self, key: Key) -> tuple[str, int]:
        for end in range(len(key), 0, -1):
            if key[:end] in self._overrides:
                return f"--set {dotted(key[:end])}", 0
        if key in self._lines:
            return f"{self._file}:{self._lines[key]}", self._lines[key]
        for override in self._overrides:
            if key and override[: len(key)] == key:
                return f"--set {dotted(override)}", 0
        return self._place(key[:-1]) if key else (self._file, 0)


def add_errors(
    diagnostics: Diagnostics, errors: list[ErrorDetails], root: type[BaseModel], at: Key = ()
) -> None:
    """Note pydantic's errors about a `root` that stands at the key `at`."""
    phrases: dict[Key, list[str]] = {}
    inputs: dict[Key, object] = {}
    for error in errors:
        local, model = _resolve(error["loc"], root)
        key = at + local
        if error["type"] == "extra_forbidden":
            diagnostics.add(key, f"{dotted(key)}: {unknown(str(key[-1]), field_names(model))}")
        elif error["type"] == "missing":
            if key not in diagnostics.keys:
                diagnostics.add(key, f"{dotted(key)} is required")
        elif error["type"] == "value_error":
            diagnostics.add(key, f"{dotted(key)}: {plain(error)}")
        else:
            phrases.setdefault(key, []).append(plain(error))
            inputs[key] = error["input"]
    for key, allowed in phrases.items():
        diagnostics.add_value(
            key, inputs[key], ", or ".join([allowed[0], *(_bare(one) for one in allowed[1:])])
        )


def plain(error: ErrorDetails) -> str:
    """What the field allows, in plain words."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind in ("literal_error", "union_tag_invalid"):
        expected = str(context.get("expected", context.get("expected_tags")))
        names = [name.strip("'") for name in re.split(", | or ", expected)]
        return "must be " + ("one of: " if len(names) > 1 else "") + ", ".join(names)
    phrase = _PHRASES.get(kind)
    if phrase is None:
        return error["msg"].replace("Input should be", "must be")
    if (
        isinstance(error["input"], dict)
        and kind in ("float_type", "int_type")
        and error["loc"][0] in SEARCHABLE
    ):
        return phrase + ", or a distribution such as {search: uniform, low: 0, high: 1}"
    return phrase.format(**context)


def unknown(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(known)}"
    return f"unknown key `{name}`; {hint}"


def dotted(key: Key) -> str:
    return ".".join(str(part) for part in key)


def shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def field_names(model: type[BaseModel]) -> list[str]:
    """The keys a mapping of this model may have in a file."""
    return [name for name, field in model.model_fields.items() if not field.exclude]


def _resolve(loc: Key, root: type[BaseModel]) -> tuple[Key, type[BaseModel]]:
    """Split off what pydantic appends for the members of a union; and the model that holds the key."""
    model: type[BaseModel] = root
    key: Key = ()
    rest = list(loc)
    while rest:
        part = rest.pop(0)
        key = (*key, part)
        field = model.model_fields.get(str(part))
        inner = field.annotation if field is not None else None
        for member in get_args(inner):  # a union of sections, told apart by their names
            if rest and _has_name(member, rest[0]):
                inner = member
                del rest[0]
                break
        if not (isinstance(inner, type) and issubclass(inner, Section)):
            return key, model
        if rest:
            model = inner
    return key, model


def _has_name(member: object, name: object) -> bool:
    if not (isinstance(member, type) and issubclass(member, Section)):
        return False
    field = member.model_fields.get("name")
    return field is not None and get_args(field.annotation) == (name,)


def _bare(phrase: str) -> str:
    return phrase.removeprefix("must be ")
