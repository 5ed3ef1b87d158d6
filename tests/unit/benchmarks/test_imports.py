from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from support.real_ray import ROOT

FOLDER = ROOT / "benchmarks"
BENCHMARKS = sorted(FOLDER.rglob("*.py"))


@pytest.mark.parametrize("file", BENCHMARKS, ids=lambda file: file.stem)
def test_a_benchmark_uses_names_that_exist(file: Path) -> None:
    name = ".".join(file.relative_to(FOLDER).with_suffix("").parts)
    assert importlib.import_module(name)
