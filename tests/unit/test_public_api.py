"""The names that a Python user imports from `adaptune`."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import adaptune

ROOT = Path(__file__).parents[2]


def run_python(code: str) -> str:
    """Standard output of a new Python process."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_public_names_are_these() -> None:
    assert adaptune.__all__ == ["__version__", "load_export", "load_spec", "run_search"]


def test_the_public_names_are_the_functions_of_the_packages() -> None:
    from adaptune.artifacts import load_export
    from adaptune.spec import load_spec
    from adaptune.workflows.search import run

    assert adaptune.load_export is load_export
    assert adaptune.load_spec is load_spec
    assert adaptune.run_search is run


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'adaptune' has no attribute 'searches'"):
        _ = adaptune.searches  # type: ignore[attr-defined]
    with pytest.raises(ImportError):
        from adaptune import searches  # type: ignore[attr-defined]  # noqa: F401


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert adaptune.__version__ == project["version"]


@pytest.mark.parametrize("module", ["ray", "torch", "optuna", "pydantic"])
def test_the_import_of_the_package_is_cheap(module: str) -> None:
    assert run_python(f"import sys, adaptune; print({module!r} in sys.modules)") == "False"


def test_a_spec_is_loaded_without_ray_and_torch() -> None:
    code = (
        "import sys; from adaptune import load_spec; print(load_spec('cycada.yaml').name);"
        " print('ray' in sys.modules or 'torch' in sys.modules)"
    )
    assert run_python(code).splitlines() == ["cycada", "False"]


def test_all_public_names_can_be_imported_by_a_star() -> None:
    code = "from adaptune import *; print(load_export.__name__, load_spec.__name__, run_search)"
    assert run_python(code).startswith("load_export load_spec <function run at ")
