"""The file tree of the README agrees with the repository."""

from __future__ import annotations

from pathlib import Path

from support.documentation import README, ROOT, code_blocks, section

PACKAGE = ROOT / "platform" / "adaptune"


def listed_paths() -> list[Path]:
    """Return the paths of the tree; an indented line is below the package."""
    (tree,) = code_blocks(section(README.read_text(encoding="utf-8"), "The repository"))
    paths = []
    for line in tree.text.splitlines():
        folder = PACKAGE if line.startswith("  ") else ROOT
        paths.append(folder / line.split()[0])
    return paths


def test_every_path_exists() -> None:
    assert not [path for path in listed_paths() if not path.exists()]


def test_every_package_is_listed() -> None:
    packages = {file.parent for file in PACKAGE.glob("*/__init__.py")}
    assert packages <= set(listed_paths())
