"""The JSON Schema and the reference: complete, current, and in agreement with the loader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from adaptune.spec.base import Section, is_section
from adaptune.spec.reference import json_schema, reference_markdown
from adaptune.spec.schema import SearchSpec
from adaptune.spec.yaml_reader import parse

ROOT = Path(__file__).parents[3]
SPACES = sorted((ROOT / "search_spaces").glob("*.yaml"))
VALIDATOR = Draft202012Validator(json_schema())

SMALL = "name: small\ndata: {source: {domain: a}, target: {domain: b}}\n"


def faults(text: str) -> list[str]:
    return [error.json_path for error in VALIDATOR.iter_errors(parse(text).tree)]


def properties(node: Any, path: str = "") -> dict[str, Any]:
    """All properties in a JSON Schema, by their path in it."""
    nodes: dict[str, Any] = {}
    if isinstance(node, dict):
        for key, child in node.get("properties", {}).items():
            nodes[f"{path}.{key}"] = child
        for key, child in node.items():
            nodes |= properties(child, f"{path}.{key}")
    return nodes


def test_the_schema_is_valid_itself() -> None:
    Draft202012Validator.check_schema(json_schema())


def test_the_reference_is_current() -> None:
    command = "python -m adaptune.spec.reference > docs/reference.md"
    assert (ROOT / "docs" / "reference.md").read_text() == reference_markdown(), f"run: {command}"


def test_the_schema_for_editors_is_current() -> None:
    command = "python -m adaptune.spec.reference --schema > search_spaces/schema.json"
    schema = json.loads((ROOT / "search_spaces" / "schema.json").read_text())
    assert schema == json_schema(), f"run: {command}"


def test_no_field_lacks_a_description() -> None:
    schema = json_schema()
    nodes = properties(schema)
    assert len(nodes) > 100
    for path, node in nodes.items():
        definition = schema["$defs"].get(node.get("$ref", "").removeprefix("#/$defs/"), {})
        description = node.get("description") or definition.get("description")
        assert description, path
        assert description.endswith("."), path


@pytest.mark.parametrize("file", SPACES, ids=lambda file: file.name)
def test_every_search_space_names_the_schema_and_conforms_to_it(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=schema.json\n")
    assert faults(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "format: 2\n",
        "search: {sampler: gp, scheduler: none}\n",
        "search: {sampler: {name: grid, points: 4}, scheduler: {reduction_factor: 4}}\n",
        "search: {sampler: {candidates: 5}}\n",
        "search:\n  start_points:\n    - loss_weights: {cycle: 1}\n    - {loss_weights.cycle: 1}\n",
        "training: {semantic_labels: true, semantic_gate: null}\n",
        "training: {gan_loss: {search: choice, values: [lsgan, log]}}\n",
        "loss_weights: {cycle: {search: uniform, low: 0, high: 1, when: {a: b}, otherwise: 0}}\n",
        "loss_weights: {cycle: {search: uniform, low: 0, high: 1, when: {a: [b]}, otherwise: 0}}\n",
        "model: {generator: {blocks: {search: int, low: 1, high: 5, step: 2}}}\n",
        "resources: {workers_per_trial: 2, label_selector: {zone: a}}\n",
        "evaluation: {baselines: false}\n",
    ],
)
def test_what_the_loader_reads_conforms_to_the_schema(text: str) -> None:
    assert faults(SMALL + text) == []


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("format: 1\n", "$.format"),
        ("trainning: {}\n", "$"),
        ("evaluation: {baseline: true}\n", "$.evaluation"),
        ("resources: {fresh_workers: true}\n", "$.resources"),
        ("loss_weights: {cycle: -1}\n", "$.loss_weights.cycle"),
        ("loss_weights: {cycle: {search: normal}}\n", "$.loss_weights.cycle"),
        ("loss_weights: {cycle: {search: uniform, low: 0}}\n", "$.loss_weights.cycle"),
        ("loss_weights: {cycle: {search: choice, values: []}}\n", "$.loss_weights.cycle"),
        (
            "loss_weights: {cycle: {search: choice, values: [1], when: {a: b}}}\n",
            "$.loss_weights.cycle",
        ),
        ("training: {epochs: {search: int, low: 1, high: 2}}\n", "$.training.epochs"),
        ("training: {gan_loss: wgan}\n", "$.training.gan_loss"),
        ("model: {classifier: {dropout: {search: choice, values: [0]}}}\n", None),
        ("search: {sampler: bayes}\n", "$.search.sampler"),
        ("search: {sampler: {name: gp, points: 3}}\n", "$.search.sampler"),
        ("search: {start_points: [{data.seed: 1}]}\n", "$.search.start_points[0]"),
        ("search: {start_points: [7]}\n", "$.search.start_points[0]"),
        ("execution: ray\n", "$.execution"),
        ("name: -small\n", "$.name"),
    ],
)
def test_what_the_loader_refuses_does_not_conform(text: str, path: str | None) -> None:
    paths = faults(SMALL + text)
    assert paths == [path] if path else len(paths) == 1


@pytest.mark.parametrize("size", [8, 50, 516])
def test_sizes_other_than_multiples_of_four_do_not_conform(size: int) -> None:
    text = f"name: a\ndata: {{source: {{domain: a, size: {size}}}, target: {{domain: b}}}}\n"
    assert set(faults(text)) == {"$.data.source.size"}


def test_the_reference_has_a_row_per_key() -> None:
    lines = reference_markdown().splitlines()

    def check(section: type[Section]) -> None:
        for name, field in section.model_fields.items():
            assert any(line.startswith(f"| `{name}` | ") for line in lines), name
            if is_section(field.annotation):
                check(field.annotation)

    check(SearchSpec)


@pytest.mark.parametrize(
    "line",
    [
        "| `cycle` | number ≥ 0, or a distribution | `10` | ",
        "| `epochs` | integer ≥ 1 | `8` | ",
        "| `width` | integer ≥ 2, a multiple of 2 | `20` | ",
        "| `semantic_labels` | `predicted`, `true`, or a distribution | `predicted` | ",
        "| `semantic_gate` | number > 0, `null`, or a distribution | `null` | ",
        "| `baselines` | `auto`, `true` or `false` | `auto` | ",
        "| `sampler` | name or mapping, see below | `tpe` | ",
        "| `name` | text | required | ",
        "### `data.target`",
        "**`search: loguniform`**: ",
        "- `training.epochs`: early stopping needs the same budget for all trials.",
    ],
)
def test_the_reference_states_what_a_key_allows(line: str) -> None:
    lines = reference_markdown().splitlines()
    assert sum(text.startswith(line) for text in lines) == 1
