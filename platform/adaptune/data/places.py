"""Comparison of paths by the file or folder that they lead to."""

from __future__ import annotations

import os
from pathlib import Path


def is_same_place(first: Path | None, second: Path | None) -> bool:
    """Return whether two paths lead to one file or folder, by links and mounts as well.

    Two domains without a path are at the same place.
    """
    if first is None or second is None:
        return first is second
    if _resolve(first) == _resolve(second):
        return True
    try:
        return first.samefile(second)
    except OSError:  # one of them does not exist
        return False


def contains(folder: Path | None, path: Path | None) -> bool:
    """Return whether a path leads to something below a folder, at any depth."""
    if folder is None or path is None:
        return False
    return any(is_same_place(folder, parent) for parent in _resolve(path).parents)


def _resolve(path: Path) -> Path:
    # Path.resolve raises an error for links that form a circle.
    return Path(os.path.realpath(path))
