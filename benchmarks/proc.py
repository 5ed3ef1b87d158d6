"""What Linux knows of processes."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Held:
    """What a process holds."""

    own_mb: float  # memory that it shares with no other
    files: int
    threads: int


def rss_mb(pid: int | str = "self") -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def held_by(title: str) -> dict[int, Held]:
    """Of each of our processes whose title begins so, by pid."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile, or is another's
            if not (entry / "cmdline").read_bytes().startswith(title.encode()):
                continue
            rollup = (entry / "smaps_rollup").read_text().splitlines()
            own_kb = sum(
                int(line.split()[1])
                for line in rollup
                if line.startswith(("Private_Clean", "Private_Dirty"))
            )
            files, threads = (len(list((entry / name).iterdir())) for name in ("fd", "task"))
            found[int(entry.name)] = Held(own_kb / 1e3, files, threads)
    return found
