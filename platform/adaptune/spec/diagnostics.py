"""Everything that is wrong with a search space file, in plain words, with file and line."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Mapping
from types import NoneType
from typing import get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from adaptune.errors import SpecError
from adaptune.spec.addresses import mask_secrets
from adaptune.spec.base import is_section
from adaptune.spec.schema import SEARCHABLE
from adaptune.spec.yaml_reader import Key
from adaptune.text import escape_control

# Keys of earlier formats.
RENAMED = {
    "evaluation.yardsticks": "is now evaluation.baselines",
    "resources.fresh_workers": "is now resources.reuse_workers (inverted)",
}
_DISTRIBUTION_EXAMPLE = "{search: uniform, low: 0, high: 1}"
_LONGEST_QUOTE = 60
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
    "string_pattern_mismatch": "must be letters, digits, '.', '_' and '-',"
    " with a letter or digit first",
    "bool_type": "must be true or false",
    "model_type": "must be a mapping; leave the key out for the defaults",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "too_short": "must hold at least {min_length} value(s)",
}


class Diagnostics:
    """The faults of a search space file, collected so that a user sees all of them at once.

    Attributes:
        keys: the keys that have a fault.

    Args:
        file: the name of the file in the messages.
        lines: the line of each key in the file.
        overrides: the keys that were given by `--set`; they have no line.
    """

    def __init__(
        self, file: str, lines: Mapping[Key, int], overrides: Collection[Key] = ()
    ) -> None:
        self._file = file
        self._lines = lines
        self._overrides = overrides
        self._line_of_message: dict[str, int] = {}
        self.keys: set[Key] = set()

    def __bool__(self) -> bool:
        return bool(self._line_of_message)

    def add(self, key: Key, message: str) -> None:
        """Add a fault of `key`, located where the key was written."""
        self.keys.add(key)
        location, line = self._locate(key)
        self._add(f"{location}: {message}", line)

    def add_line(self, line: int, message: str) -> None:
        """Add a fault of a line of the file."""
        self._add(f"{self._file}:{line}: {message}", line)

    def add_override(self, override: str, message: str) -> None:
        """Add a fault of an override that could not be applied."""
        self._add(f"--set {override}: {message}", 0)

    def add_value(self, key: Key, value: object, message: str) -> None:
        """Add a fault of the value of `key`."""
        self.add(key, f"{dotted(key)} = {quote(value)}: {message}")

    def raise_any(self) -> None:
        """Raise one SpecError with a line per fault, in the order of the file."""
        if self._line_of_message:
            messages = sorted(self._line_of_message, key=self._line_of_message.__getitem__)
            raise SpecError("\n".join(messages))

    def _add(self, message: str, line: int) -> None:
        # A message is one line, whatever the keys and values in it contain.
        self._line_of_message.setdefault(escape_control(message), line)

    def _locate(self, key: Key) -> tuple[str, int]:
        """Return where `key`, or else the section around it, was written; overrides are line 0."""
        for end in range(len(key), 0, -1):
            if key[:end] in self._overrides:
                return f"--set {dotted(key[:end])}", 0
        if key in self._lines:
            return f"{self._file}:{self._lines[key]}", self._lines[key]
        for override in self._overrides:
            if key and override[: len(key)] == key:
                return f"--set {dotted(override)}", 0
        return self._locate(key[:-1]) if key else (self._file, 0)


def add_errors(
    diagnostics: Diagnostics, errors: list[ErrorDetails], root: type[BaseModel], at: Key = ()
) -> None:
    """Add pydantic's errors about a model.

    Args:
        root: the model that was validated.
        at: the key whose value the model is.
    """
    phrases: dict[Key, list[str]] = {}
    inputs: dict[Key, object] = {}
    for error in errors:
        local_key, model = _resolve(error["loc"], root)
        key = at + local_key
        if error["type"] == "extra_forbidden":
            diagnostics.add(key, f"{dotted(key)}{_explain_unknown(key, model)}")
        elif error["type"] == "missing":
            if key not in diagnostics.keys:
                diagnostics.add(key, f"{dotted(key)} is required")
        elif error["type"] == "value_error":
            diagnostics.add(key, f"{dotted(key)}: {phrase(error)}")
        else:
            phrases.setdefault(key, []).append(phrase(error))
            inputs[key] = error["input"]
    for key, (first, *others) in phrases.items():
        alternatives = [first, *(other.removeprefix("must be ") for other in others)]
        diagnostics.add_value(key, inputs[key], ", or ".join(alternatives))


def phrase(error: ErrorDetails) -> str:
    """Return what the field allows, in plain words."""
    kind = error["type"]
    context = error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind in ("literal_error", "union_tag_invalid"):
        return _phrase_names(str(context.get("expected", context.get("expected_tags"))))
    template = _PHRASES.get(kind)
    if template is None:
        return error["msg"].replace("Input should be", "must be")
    if kind == "string_type" and isinstance(error["input"], bool | int | float):
        return f"{template}: put it in quotes"
    is_mapping = isinstance(error["input"], dict)
    if is_mapping and kind in ("float_type", "int_type") and error["loc"][0] in SEARCHABLE:
        return f"{template}, or a distribution such as {_DISTRIBUTION_EXAMPLE}"
    return template.format(**context)


def unknown(name: str, names: Collection[str]) -> str:
    """Return the message about an unknown key, with the key that was probably meant.

    Args:
        names: the keys that there are.
    """
    nearest = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean `{nearest[0]}`?" if nearest else f"possible keys: {', '.join(names)}"
    return f"unknown key `{name}`; {hint}"


def dotted(key: Key) -> str:
    """Return a key as a dotted path."""
    return ".".join(str(part) for part in key)


def quote(value: object) -> str:
    """Return a value as a message quotes it: in at most 60 characters, without secrets."""
    if isinstance(value, float):
        return f"{value:g}"
    text = mask_secrets(value if isinstance(value, str) else json.dumps(value, default=str))
    if len(text) <= _LONGEST_QUOTE:
        return text
    return f"{text[: _LONGEST_QUOTE - 3]}..."


def _phrase_names(listed: str) -> str:
    """Return what pydantic lists as `'a', 'b' or 'c'`, in the form of the other phrases."""
    names = [name.strip("'") for name in re.split(", | or ", listed)]
    if len(names) == 1:
        return f"must be {names[0]}"
    return f"must be one of: {', '.join(names)}"


def _explain_unknown(key: Key, model: type[BaseModel]) -> str:
    renaming = RENAMED.get(dotted(key))
    if renaming is not None:
        return f" {renaming}"
    return f": {unknown(str(key[-1]), list(model.model_fields))}"


def _resolve(location: Key, root: type[BaseModel]) -> tuple[Key, type[BaseModel]]:
    """Return the key of an error, and the model that has this key.

    pydantic's location also names the members of a union; these are left out.
    """
    model: type[BaseModel] = root
    key: Key = ()
    rest = list(location)
    while rest:
        part = rest.pop(0)
        key = (*key, part)
        field = model.model_fields.get(str(part))
        annotation: object = None if field is None else field.annotation
        for member in get_args(annotation):  # a union of sections, told apart by their names
            if rest and _has_name(member, rest[0]):
                annotation = member
                del rest[0]
                break
            if is_section(member) and get_args(annotation) == (member, NoneType):
                annotation = member
                break
        if not is_section(annotation):
            return key, model
        if rest:
            model = annotation
    return key, model


def _has_name(member: object, name: object) -> bool:
    if not is_section(member) or "name" not in member.model_fields:
        return False
    return get_args(member.model_fields["name"].annotation) == (name,)
