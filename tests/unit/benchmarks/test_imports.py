from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from support.real_ray import ROOT

BENCHMARKS = sorted((ROOT / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("file", BENCHMARKS, ids=lambda file: file.stem)
def test_a_benchmark_uses_names_that_exist(file: Path) -> None:
    assert importlib.import_module(file.stem)
