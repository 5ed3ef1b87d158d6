"""Memory that this process can still use."""

from __future__ import annotations

import re
from pathlib import Path

import psutil
from rich.filesize import decimal

from adaptune.errors import DataError

_CGROUP = Path("/sys/fs/cgroup")
_PROCESS_STATUS = Path("/proc/self/status")
# Version 2, then version 1: the limit, the usage, the counters, and the prefix of the counters.
_MEMORY_FILES = (
    ("memory.max", "memory.current", "memory.stat", ""),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_",
    ),
)


def require_memory(needed_bytes: int, purpose: str, advice: str) -> None:
    """Check that the memory is available before it is used.

    Args:
        purpose: what needs the memory, in the plural, to begin the message with.
        advice: what to do if there is too little.

    Raises:
        DataError: there is too little memory.
    """
    available = available_memory_bytes()
    if needed_bytes > available:
        raise DataError(
            f"{purpose} need {decimal(needed_bytes)} of memory, but {decimal(available)} are"
            f" available: {advice}"
        )


def available_memory_bytes() -> int:
    """Return the free memory of this machine or, if less, of this process's container."""
    available = int(psutil.virtual_memory().available)
    container = _container_memory_bytes()
    return available if container is None else min(available, container)


def peak_memory_bytes() -> int:
    """Return the largest memory that this process has had so far."""
    try:
        # Unlike getrusage, without the memory of the process that started this one.
        peak_kb = re.search(r"^VmHWM:\s*(\d+) kB", _PROCESS_STATUS.read_text(), re.MULTILINE)
    except OSError:  # not Linux
        peak_kb = None
    if peak_kb is None:
        return int(psutil.Process().memory_info().rss)
    return int(peak_kb[1]) * 1024


def _container_memory_bytes() -> int | None:
    """Return the free memory of the container, or None if it has no limit."""
    for limit_file, usage_file, stat_file, prefix in _MEMORY_FILES:
        try:
            limit = int((_CGROUP / limit_file).read_text())  # ValueError: "max", no limit
            usage = int((_CGROUP / usage_file).read_text())
            stat = (_CGROUP / stat_file).read_text()
        except (OSError, ValueError):
            continue
        counters = dict(line.split() for line in stat.splitlines())
        # The kernel frees the page cache when a process needs memory.
        active = int(counters.get(f"{prefix}active_file", 0))
        inactive = int(counters.get(f"{prefix}inactive_file", 0))
        return max(0, limit - usage + active + inactive)
    return None
