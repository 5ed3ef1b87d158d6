"""The files around the code agree: constraints, Makefile, hooks, continuous integration."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from cluster import check
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]


def pinned_versions() -> dict[str, str]:
    versions = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, version = line.split("==")
            versions[canonicalize_name(name)] = version
    return versions


def direct_requirements() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        lines += extra
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize("requirement", direct_requirements(), ids=str)
def test_constraints_pin_an_accepted_version_of_each_dependency(requirement: Requirement) -> None:
    versions = pinned_versions()
    name = canonicalize_name(requirement.name)
    assert name in versions
    assert requirement.specifier.contains(versions[name])


def test_constraints_name_no_build_of_one_platform() -> None:
    names = pinned_versions()
    assert not [name for name in names if name.startswith(("nvidia-", "cuda-", "triton"))]
    assert not [name for name, version in names.items() if "+" in version]


def test_the_guide_to_clusters_installs_the_pinned_ray() -> None:
    text = (check.FOLDER / "README.md").read_text()
    versions = re.findall(r'"ray\[default\]==(\S+)"|pin Ray (\S+)\. ', text)
    assert len(versions) == 3
    assert {first or second for first, second in versions} == {check.pinned_ray_version()}


def test_make_help_lists_every_target() -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    makefile = (ROOT / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert targets is not None
    output = subprocess.check_output(["make", "--no-print-directory"], cwd=ROOT, text=True)
    assert re.findall(r"^  make (\S+) +\w", output, re.MULTILINE) == targets[1].split()


def test_the_hooks_run_the_checks_of_make_lint() -> None:
    makefile = (ROOT / "Makefile").read_text()
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe is not None
    commands = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines()]
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert [hook["entry"] for hook in hooks] == commands


def test_the_workflow_runs_what_continuous_integration_runs() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    steps = workflow["jobs"]["test"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == ["bash .ci/run"]


def test_the_licence_is_the_one_that_the_package_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (ROOT / "LICENSE").read_text()
    assert project["license"] == "Apache-2.0"
    assert text.split()[:5] == ["Apache", "License", "Version", "2.0,", "January"]
    assert "Copyright 2026 the adaptune authors" in text
