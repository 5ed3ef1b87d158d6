"""Resources of this machine, by public interfaces."""

from __future__ import annotations

import shutil
from pathlib import Path

import joblib
import psutil

_CGROUP = Path("/sys/fs/cgroup")


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
    try:
        limit = int((_CGROUP / "memory.max").read_text())
        used = int((_CGROUP / "memory.current").read_text())
    except (OSError, ValueError):  # no cgroup v2, or no limit ("max")
        return available
    return min(available, limit - used)


def free_shared_memory_bytes() -> int:
    """Return the free space of /dev/shm, where Ray keeps objects; Linux only."""
    return shutil.disk_usage("/dev/shm").free
