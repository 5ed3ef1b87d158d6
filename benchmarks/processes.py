"""Memory, files and threads of processes, as Linux reports them."""

from __future__ import annotations

from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Usage:
    """Resources that a process holds.

    Attributes:
        private_mb: memory that it shares with no other process.
        files: open file descriptors.
        threads: threads.
    """

    private_mb: float
    files: int
    threads: int


def memory_mb() -> float:
    """Return the resident memory of this process."""
    return float(psutil.Process().memory_info().rss) / 1e6


def usage_of(title: str) -> dict[int, Usage]:
    """Return the usage of each process whose title begins with `title`, by process id."""
    usages = {}
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"]
        if not command or not command[0].startswith(title):
            continue
        try:
            private_mb = float(process.memory_full_info().uss) / 1e6
            usages[process.pid] = Usage(private_mb, process.num_fds(), process.num_threads())
        except psutil.Error:  # it ended meanwhile, or belongs to somebody else
            continue
    return usages
