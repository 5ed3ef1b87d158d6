"""Copies of launch files with faults in them."""

from __future__ import annotations

import shutil
from pathlib import Path

from cluster.check import FOLDER

KUBERAY = FOLDER / "kuberay"
RAY_UP = FOLDER / "ray-up"
SLURM = FOLDER / "slurm"


def copy_with_fault(path: Path, folder: Path, old: str, new: str, *, count: int = -1) -> Path:
    """Copy a file into a folder, with `old` replaced by `new`.

    Args:
        count: number of occurrences to replace, from the start of the file; -1 for all.
    """
    text = path.read_text()
    assert old in text
    copy = folder / path.name
    copy.write_text(text.replace(old, new, count))
    copy.chmod(path.stat().st_mode)
    return copy


def copy_of_launch_files(folder: Path) -> Path:
    """Copy the folder cluster/ into a folder."""
    ignored = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(FOLDER, folder / "cluster", ignore=ignored))
