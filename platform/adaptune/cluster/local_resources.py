"""Resources of this machine, by public interfaces."""

from __future__ import annotations

import shutil
from pathlib import Path

import joblib
import psutil

_CGROUP = Path("/sys/fs/cgroup")
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


def local_resources() -> dict[str, float]:
    """Return the CPUs and GPUs of a local Ray cluster, by Ray's names."""
    import torch

    return {"CPU": float(local_cpus()), "GPU": float(torch.cuda.device_count())}


def local_cpus() -> int:
    """Return the number of CPUs that this process may use, by affinity and cgroup limits."""
    return int(joblib.cpu_count())


def available_memory_bytes() -> int:
    """Return the free memory of this machine or, if less, of this process's container."""
    available = int(psutil.virtual_memory().available)
    container = _container_memory_bytes()
    return available if container is None else min(available, container)


def free_shared_memory_bytes() -> int:
    """Return the free space of /dev/shm, where Ray keeps objects; Linux only."""
    return shutil.disk_usage("/dev/shm").free


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
        return limit - usage + active + inactive
    return None
