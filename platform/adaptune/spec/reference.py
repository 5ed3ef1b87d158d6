"""The JSON Schema of search space files, and their reference in Markdown.

`python -m adaptune.spec.reference > docs/reference.md` writes the reference;
`python -m adaptune.spec.reference --schema > search_spaces/schema.json` writes the schema.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from adaptune.spec.base import Fixed, Section, is_section
from adaptune.spec.distributions import KINDS, Distribution
from adaptune.spec.schema import SEARCHABLE_PATHS, SearchSpec, TrialSpec
from adaptune.spec.sharing import is_classifier_side

Schema = dict[str, Any]  # JSON Schema, or a part of it

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REF = "#/$defs/"
_A_DISTRIBUTION = "a distribution"
_CONDITION_KEYS = ("when", "otherwise")
_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
_TYPES = {
    "array": "list",
    "integer": "integer",
    "null": "`null`",
    "number": "number",
    "object": "mapping",
    "string": "text",
}
_INTRODUCTION = """\
# Reference of search space files

A search space file is written in YAML. Only `name` and `data` are required. Unknown keys are
refused, and all faults of a file are reported at once with their lines. `--dry-run` prints a file
with all defaults.

For completion in an editor, begin the file with
`# yaml-language-server: $schema=schema.json`; `adaptune schema` prints this JSON Schema.

This page is generated from the schema by `python -m adaptune.spec.reference`.
"""
_ALGORITHMS = """\
Either a name, such as `{key}: {default}`, or a mapping with the name and options. Options without a
name are those of `{default}`.
"""
_DISTRIBUTIONS = """\
A value in `loss_weights`, `training` or `model` is either fixed or a distribution, from which the
sampler draws one value per trial, such as `cycle: {search: loguniform, low: 0.1, high: 30}`. The
bounds of a distribution must be allowed values of the key. The key `zero`
of a logarithmic range includes 0, as in `{search: loguniform, low: 0.1, high: 10, zero: 0.2}`.
"""
_CONDITIONS = """\
Every distribution may have a condition. It is then drawn only if a searched choice has one of the
given values, as in
`{search: uniform, low: 1, high: 5, when: {training.gan_loss: log}, otherwise: 0}`.
"""
_FIXED = "These keys cannot be searched:\n"
_CLASSIFIER_SIDE = """\
These keys have an effect on f_T and D_feat only. Trials that differ in nothing else can share a GAN
(`search.classifiers_per_gan`):
"""
_START_POINTS = """\
The first trials have the values of `search.start_points`. Their keys may be nested or dotted, and
what a start point leaves out is sampled:

```yaml
search:
  start_points:
    - loss_weights: {cycle: 10, identity: 0.5}
    - {loss_weights.cycle: 1}
```

A value must be in the range of its key. A key that is not searched may be given only with the
value that it has anyway.
"""


class _Generator(GenerateJsonSchema):
    """pydantic's generator, without a title per field."""

    def field_title_should_be_set(self, schema: object) -> bool:
        """Return False: a title would only repeat the key."""
        return False


def json_schema() -> Schema:
    """Return the JSON Schema of a search space file."""
    spelled_out = TypeAdapter(Distribution).json_schema()
    del spelled_out["$defs"]
    schema: Schema = _share(SearchSpec.model_json_schema(schema_generator=_Generator), spelled_out)
    schema["$defs"]["Distribution"] = {"oneOf": spelled_out["oneOf"]}
    return {"$schema": _DIALECT, **schema}


def reference_markdown() -> str:
    """Return the reference of all keys: a table per section."""
    schema = json_schema()
    definitions: Schema = schema["$defs"]
    lines = [_INTRODUCTION, "## Top level\n"]
    lines += _table(schema, definitions)
    lines += _subsections(schema["properties"], definitions, prefix="", level=2)
    lines += ["## Distributions\n", _DISTRIBUTIONS]
    lines += _distributions(definitions)
    lines.append(_FIXED)
    lines += [f"- `{path}`: {reason}." for path, reason in _fixed_keys(TrialSpec)]
    lines.append(f"\n{_CLASSIFIER_SIDE}")
    lines += [f"- `{path}`" for path in SEARCHABLE_PATHS if is_classifier_side(path)]
    lines += ["\n## Start points\n", _START_POINTS]
    return "\n".join(lines)


def _share(node: Any, distribution: Schema) -> Any:
    """Return a JSON tree with a reference wherever the distributions were spelled out."""
    if node == distribution:
        return {"$ref": f"{_REF}Distribution"}
    if isinstance(node, dict):
        return {key: _share(child, distribution) for key, child in node.items()}
    if isinstance(node, list):
        return [_share(child, distribution) for child in node]
    return node


def _subsections(properties: Schema, definitions: Schema, prefix: str, level: int) -> Iterator[str]:
    """Yield headings and tables for the sections among `properties`.

    Sections with the same keys share a heading.
    """
    keys_of: dict[str, list[str]] = {}
    for key, node in properties.items():
        if not _is_algorithm(node):
            for section in _references(node):  # one, of a section that may be null
                keys_of.setdefault(_definition_name(section), []).append(f"{prefix}{key}")
    for name, paths in keys_of.items():
        definition = definitions[name]
        yield f"{'#' * level} {' and '.join(f'`{path}`' for path in paths)}\n"
        yield f"{definition['description']}\n"
        yield from _table(definition, definitions)
        inner = definition["properties"]
        yield from _subsections(inner, definitions, f"{paths[0]}.", level + 1)
    for key, node in properties.items():
        if _is_algorithm(node):
            yield f"{'#' * level} `{prefix}{key}`\n"
            yield from _algorithms(key, node, definitions)


def _algorithms(key: str, node: Schema, definitions: Schema) -> Iterator[str]:
    """Yield the names of a union of algorithms, each with a table of its options."""
    yield _ALGORITHMS.format(key=key, default=node["default"]["name"])
    for reference in node["anyOf"][1:]:
        definition = definitions[_definition_name(reference)]
        name = definition["properties"]["name"]["const"]
        options = _without(definition, "name")
        yield f"**`{name}`**: {_one_line(definition['description'])}\n"
        if options["properties"]:
            yield from _table(options, definitions)


def _distributions(definitions: Schema) -> Iterator[str]:
    """Yield the distributions, each with a table of its keys, and the keys of a condition."""
    for name, kind in KINDS.items():
        definition = definitions[kind.__name__]
        yield f"**`search: {name}`**: {_one_line(definition['description'])}\n"
        yield from _table(_without(definition, "search", *_CONDITION_KEYS), definitions)
    yield _CONDITIONS
    any_distribution = definitions["Uniform"]
    yield from _table(_without(any_distribution, "search", "low", "high", "prior"), definitions)


def _without(definition: Schema, *keys: str) -> Schema:
    """Return the definition of a section without some of its keys."""
    properties = {key: node for key, node in definition["properties"].items() if key not in keys}
    return {**definition, "properties": properties}


def _table(definition: Schema, definitions: Schema) -> Iterator[str]:
    """Yield a table of the keys of a section."""
    yield "| key | allowed | default | description |"
    yield "|---|---|---|---|"
    for key, node in definition["properties"].items():
        # A section has its own description, unless the key gives it a special one.
        described = node if "description" in node else definitions[_definition_name(node)]
        description = _one_line(described["description"])
        default = "required" if key in definition.get("required", []) else _default(node)
        yield f"| `{key}` | {_allowed(node)} | {default} | {description} |"
    yield ""


def _allowed(node: Schema) -> str:
    """Return what a key allows, in plain words."""
    if _is_algorithm(node):
        return "name or mapping, see below"
    *others, last = dict.fromkeys(_alternatives(node))
    if not others:
        return last
    conjunction = ", or" if last == _A_DISTRIBUTION else " or"
    return f"{', '.join(others)}{conjunction} {last}"


def _alternatives(node: Schema) -> Iterator[str]:
    """Yield the values or kinds of values that a key allows."""
    if "const" in node:
        yield _code(node["const"])
    elif "enum" in node:
        yield from (_code(value) for value in node["enum"])
    elif "$ref" in node:
        is_distribution = _definition_name(node) == "Distribution"
        yield _A_DISTRIBUTION if is_distribution else "section, see below"
    elif "oneOf" in node or "anyOf" in node:
        for alternative in node.get("oneOf") or node["anyOf"]:
            yield from _alternatives(alternative)
    elif node["type"] == "boolean":
        yield from ("`true`", "`false`")
    else:
        yield _type(node)


def _type(node: Schema) -> str:
    """Return a type with its bounds."""
    text = _TYPES[node["type"]]
    bounds = [f"{sign} {node[key]:g}" for key, sign in _BOUNDS.items() if key in node]
    if bounds:
        text = f"{text} {' and '.join(bounds)}"
    if "multipleOf" in node:
        text = f"{text}, a multiple of {node['multipleOf']}"
    return text


def _default(node: Schema) -> str:
    """Return the default of a key; the reference leaves out those of sections and lists."""
    default = node.get("default", {})
    if _is_algorithm(node):
        return _code(default["name"])
    if isinstance(default, dict | list):
        return "–"
    return _code(default)


def _fixed_keys(section: type[Section], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the keys that cannot be searched, each with the reason."""
    for name, field in section.model_fields.items():
        reasons = [item.reason for item in field.metadata if isinstance(item, Fixed)]
        for reason in reasons:
            yield f"{prefix}{name}", reason
        if is_section(field.annotation) and not reasons:
            yield from _fixed_keys(field.annotation, f"{prefix}{name}.")


def _is_algorithm(node: Schema) -> bool:
    """Return whether a property is a sampler or a scheduler: a name, or one of several sections."""
    return len(_references(node)) > 1


def _references(node: Schema) -> list[Schema]:
    """Return the sections of which a property may be one."""
    return [item for item in [node, *node.get("anyOf", [])] if "$ref" in item]


def _definition_name(node: Schema) -> str:
    return str(node["$ref"]).removeprefix(_REF)


def _code(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
    return f"`{text.strip(chr(34))}`"


def _one_line(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    if "--schema" in sys.argv[1:]:
        print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    else:
        print(reference_markdown(), end="")
