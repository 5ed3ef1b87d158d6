"""The files around the code agree: constraints, Makefile, hooks, continuous integration."""

from __future__ import annotations

import contextlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from cluster import check
from cluster.checks.text import pinned_ray_version
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
LEFT_OUT = ("nvidia-", "cuda-", "triton")  # torch pins them for each platform


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


# Versions with a known flaw through which a file may run code.
UNSAFE = {
    "torch": {"2.5.1": "CVE-2025-32434", "2.9.1": "CVE-2026-24747"},
    "pillow": {"10.1.0": "CVE-2023-50447", "10.2.0": "CVE-2024-28219"},
}


@pytest.mark.parametrize("name", UNSAFE)
def test_no_version_with_a_flaw_that_may_run_code_is_accepted(name: str) -> None:
    (requirement,) = (item for item in direct_requirements() if item.name == name)
    assert not [version for version in UNSAFE[name] if requirement.specifier.contains(version)]


def test_torchvision_begins_at_the_release_that_belongs_to_that_of_torch() -> None:
    lower = {}
    for requirement in direct_requirements():
        if requirement.name in ("torch", "torchvision"):
            (bound,) = requirement.specifier
            lower[requirement.name] = int(bound.version.split(".")[1])
    assert lower["torchvision"] == lower["torch"] + 15  # 0.25 belongs to 2.10


def test_make_lowest_installs_the_lower_bound_of_each_dependency() -> None:
    script = [sys.executable, str(ROOT / ".ci" / "lowest_versions.py")]
    lines = subprocess.check_output(script, text=True).splitlines()
    assert len(lines) == len(set(lines))
    lowest = dict(line.split("==") for line in lines)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = [Requirement(line) for line in project["dependencies"]]
    assert {requirement.name for requirement in requirements} <= lowest.keys()
    for requirement in requirements:
        assert f">={lowest[requirement.name]}" in str(requirement.specifier).split(",")


def test_constraints_name_no_build_of_one_platform() -> None:
    names = pinned_versions()
    assert not [name for name in names if name.startswith(LEFT_OUT)]
    assert not [name for name, version in names.items() if "+" in version]


def test_the_image_installs_pinned_versions_only() -> None:
    dockerfile = (check.FOLDER / "Dockerfile").read_text().replace("\\\n", " ")
    commands = re.findall(r"^RUN (.*\bpip install\b.*)$", dockerfile, re.MULTILINE)
    assert len(commands) == 1
    # The variable holds for the tools that build the package as well.
    variable, *words = commands[0].split()
    assert variable == "PIP_CONSTRAINT=$PWD/constraints.txt"
    names = [word for word in words[2:] if not word.startswith(("--", "'."))]
    assert names == ["boto3", "cryptography", "google-api-python-client"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    tools = [Requirement(line).name for line in project["build-system"]["requires"]]
    assert set(names + tools) <= pinned_versions().keys()


def test_the_constraints_are_complete_for_installed_packages() -> None:
    """Follow the requirements of all pinned packages that are installed here."""
    versions = pinned_versions()
    missing = set()
    for name, version in versions.items():
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            if importlib.metadata.version(name) != version:
                continue  # `make lowest` installs another one
            for line in importlib.metadata.requires(name) or []:
                requirement = Requirement(line)
                if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
                    continue
                missing.add(canonicalize_name(requirement.name))
    missing -= versions.keys()
    assert {name for name in missing if not name.startswith(LEFT_OUT)} == set()


def test_the_base_of_the_image_has_a_place_for_a_digest() -> None:
    dockerfile = (check.FOLDER / "Dockerfile").read_text()
    match = re.search(
        r"^ARG BASE=python:(\d+\.\d+)-slim\nFROM \$\{BASE\}$", dockerfile, re.MULTILINE
    )
    assert match is not None
    # The constraints are for this version of Python.
    assert f"with Python {match[1]}," in (ROOT / "constraints.txt").read_text()


def test_the_guide_to_clusters_installs_the_pinned_ray() -> None:
    text = (check.FOLDER / "README.md").read_text()
    versions = re.findall(r'"ray\[default\]==(\S+)"|pin Ray (\S+)\. ', text)
    assert len(versions) == 3
    assert {first or second for first, second in versions} == {pinned_ray_version()}


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
