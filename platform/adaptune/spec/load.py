"""Reading of a search space file with overrides, into a SearchSpec or one SpecError."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError

from adaptune.errors import SpecError
from adaptune.spec.diagnostics import Diagnostics, add_errors, dotted, quote
from adaptune.spec.field_form import normalise
from adaptune.spec.priors import check_priors
from adaptune.spec.rungs import check_classifier_start
from adaptune.spec.schema import SearchSpec
from adaptune.spec.space import (
    check_conditions,
    check_fields,
    check_method,
    check_sharing,
    extract,
    method_of,
    sampler_name,
    validate,
    validation_errors,
)
from adaptune.spec.start_points import read_start_points
from adaptune.spec.tree import put
from adaptune.spec.yaml_reader import MAX_CHARACTERS, Document, Key, parse
from adaptune.spec.yaml_types import MAX_DEPTH, ContentError
from adaptune.text import is_control

FOLDER = "search_spaces"
_REPOSITORY = Path(__file__).parents[3]


def load_spec(path: str | Path, overrides: Sequence[str] = ()) -> SearchSpec:
    """Read a search space file.

    Args:
        path: tried as given, then in search_spaces/ of the working directory and of the repository.
        overrides: texts `key.path=value`, the value in YAML; they take precedence over the file.

    Raises:
        SpecError: with a line per fault: where it is, the key, its value, and what is allowed.
    """
    file = find(path)
    document = _parse(file)
    if not isinstance(document.tree, dict):
        raise SpecError(f"{file.name}:1: the top level must be a mapping such as `name: my-search`")
    tree: dict[str, object] = document.tree
    override_keys: set[Key] = set()
    diagnostics = Diagnostics(file.name, document.lines, override_keys)
    for text in overrides:
        _override(tree, text, override_keys, diagnostics)
    for key, first, second in document.repeated:
        diagnostics.add_line(second, f"{dotted(key)} is given twice, first in line {first}")
    return _resolve(tree, override_keys, diagnostics)


def find(path: str | Path) -> Path:
    """Return the file that `path` stands for.

    Raises:
        SpecError: there is none; the message lists the files that there are.
    """
    folders = [Path(FOLDER), _REPOSITORY / FOLDER]
    for candidate in (Path(path), *(folder / path for folder in folders)):
        if candidate.is_file():
            return candidate
    names: set[str] = set()
    for folder in folders:
        names.update(file.name for file in folder.glob("*.yaml"))
    listed = ", ".join(sorted(names)) or "none"
    raise SpecError(f"no search space file {path}; {FOLDER}/ has {listed}")


def _parse(file: Path) -> Document:
    try:
        with file.open(encoding="utf-8") as stream:
            return parse(stream.read(MAX_CHARACTERS + 1))
    except UnicodeDecodeError as error:
        raise SpecError(f"{file.name}: not a text in UTF-8") from error
    except OSError as error:
        raise SpecError(f"{file}: cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise SpecError(_explain(error, file.name)) from error


def _explain(error: yaml.YAMLError, location: str) -> str:
    """Return the message of an error of a file, with its line."""
    problem: object = error
    if isinstance(error, yaml.MarkedYAMLError):
        problem = error.problem or error
        if error.problem_mark is not None:
            location += f":{error.problem_mark.line + 1}"
    if isinstance(error, ContentError):
        return f"{location}: {problem}"
    return f"{location}: not YAML: {problem}"


def _override(
    tree: dict[str, object], text: str, override_keys: set[Key], diagnostics: Diagnostics
) -> None:
    """Apply one override to the tree, and add its key to `override_keys`."""
    path, equals, value = text.partition("=")
    path = path.strip()
    key: Key = tuple(path.split("."))
    if not equals or not all(key) or any(map(is_control, path)):
        diagnostics.add_override(quote(text), "must have the form key.path=value")
        return
    if len(key) > MAX_DEPTH:
        diagnostics.add_override(quote(path), f"deeper than {MAX_DEPTH} levels")
        return
    try:
        put(tree, path, parse(value).tree)
        override_keys.add(key)
    except ContentError as error:
        diagnostics.add_override(path, str(error.problem))
    except yaml.YAMLError:
        diagnostics.add_override(path, f"{quote(value)} is not YAML")
    except KeyError:
        diagnostics.add_override(path, f"{path} is inside a single value, not in a section")


def _resolve(
    tree: dict[str, object], override_keys: Collection[Key], diagnostics: Diagnostics
) -> SearchSpec:
    """Validate the tree in all respects, and build the spec."""
    search = tree.get("search")
    raw_points = search.pop("start_points", []) if isinstance(search, dict) else []
    space = normalise(extract(tree, diagnostics))
    check_sharing(tree, space, diagnostics)
    add_errors(diagnostics, validation_errors(SearchSpec, tree), SearchSpec)
    check_method(tree, space, diagnostics)
    check_conditions(tree, space, diagnostics)
    check_priors(space, method_of(tree), sampler_name(tree), diagnostics)
    check_fields(tree, space, diagnostics)
    try:
        spec = validate(SearchSpec, tree)
    except ValidationError:
        fixed = tree
    else:
        fixed = spec.model_dump(mode="json")
        check_classifier_start(spec, space, diagnostics)
    points = read_start_points(raw_points, space, fixed, override_keys, diagnostics)
    diagnostics.raise_any()
    put(tree, "search.start_points", points)
    for path, distribution in space.items():
        put(tree, path, distribution.model_dump())
    return validate(SearchSpec, tree)
