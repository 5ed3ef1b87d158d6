"""From a search space file and overrides to a SearchSpec, or to all that is wrong with them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError

import adaptune
from adaptune.errors import SpecError
from adaptune.spec.diagnostics import Diagnostics, add_errors, dotted, field_names, unknown
from adaptune.spec.schema import SearchSpec, put
from adaptune.spec.space import (
    check_conditions,
    check_fields,
    check_method,
    errors_of,
    extract,
    validate,
)
from adaptune.spec.start_points import read_start_points
from adaptune.spec.yaml_reader import Document, Key, parse

FOLDER = "search_spaces"


def load(path: str | Path, overrides: Sequence[str] = ()) -> SearchSpec:
    """Read a search space file.

    Args:
        path: looked up as given, then in search_spaces/ here and at the repository's root.
        overrides: `key.path=value` each, the value in YAML; they win over the file.

    Raises:
        SpecError: with a line for each fault: where it is, the key, its value, what is allowed.
    """
    file = find(path)
    document = _parse(file)
    if not isinstance(document.tree, dict):
        raise SpecError(f"{file.name}:1: the top level must be a mapping such as `name: my-search`")
    tree: dict[str, object] = document.tree
    given: set[Key] = set()
    diagnostics = Diagnostics(file.name, document.lines, given)
    for text in overrides:
        _override(tree, text, given, diagnostics)
    for key, first, second in document.repeated:
        diagnostics.add_line(second, f"{dotted(key)} is given twice, first in line {first}")
    return _resolve(tree, given, diagnostics)


def find(path: str | Path) -> Path:
    """The file that `path` means.

    Raises:
        SpecError: there is none; the message lists the files that there are.
    """
    folders = [Path(FOLDER), Path(adaptune.__file__).parents[2] / FOLDER]
    for candidate in (Path(path), *(folder / path for folder in folders)):
        if candidate.is_file():
            return candidate
    names = sorted({file.name for folder in folders for file in folder.glob("*.yaml")})
    raise SpecError(f"no search space file {path}; {FOLDER}/ has {', '.join(names) or 'none'}")


def _parse(file: Path) -> Document:
    try:
        return parse(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise SpecError(f"{file.name}: not a text in UTF-8") from error
    except OSError as error:
        raise SpecError(f"{file}: cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise SpecError(
            f"{file.name}{line}: not YAML: {getattr(error, 'problem', None) or error}"
        ) from error


def _override(
    tree: dict[str, object], text: str, given: set[Key], diagnostics: Diagnostics
) -> None:
    path, equals, value = text.partition("=")
    path = path.strip()
    key: Key = tuple(path.split("."))
    if not equals or not all(key):
        diagnostics.add_override(text, "must have the form key.path=value")
        return
    try:
        put(tree, path, parse(value).tree)
        given.add(key)
    except yaml.YAMLError:
        diagnostics.add_override(path, f"{value} is not YAML")
    except KeyError:
        diagnostics.add_override(path, f"{path} lies in a single value, not in a section")


def _resolve(
    tree: dict[str, object], given: Collection[Key], diagnostics: Diagnostics
) -> SearchSpec:
    if "space" in tree:  # a field of SearchSpec, but none of the file's
        diagnostics.add(("space",), f"space: {unknown('space', field_names(SearchSpec))}")
        del tree["space"]
    search = tree.get("search")
    raw_points = search.pop("start_points", []) if isinstance(search, dict) else []
    space = extract(tree, diagnostics)
    add_errors(diagnostics, errors_of(SearchSpec, tree), SearchSpec)
    check_method(tree, space, diagnostics)
    check_conditions(space, diagnostics)
    check_fields(tree, space, diagnostics)
    try:
        fixed = validate(SearchSpec, tree).model_dump(mode="json")
    except ValidationError:
        fixed = tree
    points = read_start_points(raw_points, space, fixed, given, diagnostics)
    diagnostics.raise_any()
    put(tree, "search.start_points", points)
    return validate(
        SearchSpec, {**tree, "space": {path: one.model_dump() for path, one in space.items()}}
    )
