"""Memory that is available for images."""

from __future__ import annotations

from pathlib import Path

import psutil

from adaptune.errors import DataError

_CGROUP = Path("/sys/fs/cgroup")
_GB = 1e9


def require_memory(needed_bytes: int, purpose: str, advice: str) -> None:
    """Check that the memory is available before it is used.

    Args:
        purpose: what needs the memory, in the plural, to begin the message with.
        advice: what to do if there is too little.

    Raises:
        DataError: there is too little memory.
    """
    available = available_bytes()
    if needed_bytes > available:
        raise DataError(
            f"{purpose} need {needed_bytes / _GB:.1f} GB of memory, but"
            f" {available / _GB:.1f} GB are available: {advice}"
        )


def available_bytes() -> int:
    """Return the available memory of this machine or, if less, of this process's container."""
    available = int(psutil.virtual_memory().available)
    try:
        limit = int((_CGROUP / "memory.max").read_text())
        used = int((_CGROUP / "memory.current").read_text())
        statistics = (_CGROUP / "memory.stat").read_text()
    except (OSError, ValueError):  # no cgroup v2, or no limit ("max")
        return available
    for line in statistics.splitlines():
        name, _, value = line.partition(" ")
        if name == "inactive_file":  # cached files, which make room
            used -= int(value)
    return max(0, min(available, limit - used))
