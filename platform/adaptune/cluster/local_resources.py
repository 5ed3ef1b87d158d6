"""Resources of this machine, by public interfaces."""

from __future__ import annotations

import shutil

import joblib


def local_resources() -> dict[str, float]:
    """Return the CPUs and GPUs of a local Ray cluster, by Ray's names."""
    import torch

    return {"CPU": float(local_cpus()), "GPU": float(torch.cuda.device_count())}


def local_cpus() -> int:
    """Return the number of CPUs that this process may use, by affinity and cgroup limits.

    A limit such as 1.5 CPUs counts as 2.
    """
    return int(joblib.cpu_count())


def free_shared_memory_bytes() -> int:
    """Return the free space of /dev/shm, where Ray keeps objects; Linux only."""
    return shutil.disk_usage("/dev/shm").free
