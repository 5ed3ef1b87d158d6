"""Print constraints for the lowest version of each dependency that pyproject.toml accepts."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
EXTRAS = ("postgresql",)  # not "test": the tools of the tests may be of any version


def lowest_versions() -> dict[str, str]:
    """Return the lower bound of each dependency by its name."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    lines = list(project["dependencies"])
    for extra in EXTRAS:
        lines += project["optional-dependencies"][extra]
    versions = {}
    for requirement in map(Requirement, lines):
        for bound in requirement.specifier:
            if bound.operator == ">=":
                versions[requirement.name] = bound.version
    return versions


if __name__ == "__main__":
    for name, version in lowest_versions().items():
        print(f"{name}=={version}")
