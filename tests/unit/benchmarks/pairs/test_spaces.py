from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from support.real_ray import ROOT

from adaptune.spec import load_spec
from adaptune.spec.reference import json_schema
from adaptune.spec.yaml_reader import parse

SPACES = sorted((ROOT / "benchmarks" / "pairs").glob("*.yaml"))
SCHEMA = ROOT / "search_spaces" / "schema.json"
VALIDATOR = Draft202012Validator(json_schema())


@pytest.mark.parametrize("file", SPACES, ids=lambda file: file.name)
def test_a_search_space_of_a_pair_loads_and_conforms_to_the_schema_that_it_names(
    file: Path,
) -> None:
    text = file.read_text(encoding="utf-8")
    name = text.partition("\n")[0].removeprefix("# yaml-language-server: $schema=")
    assert (file.parent / name).resolve() == SCHEMA
    assert [*VALIDATOR.iter_errors(parse(text).tree)] == []
    assert load_spec(file).name == file.stem.replace("_", "-")
