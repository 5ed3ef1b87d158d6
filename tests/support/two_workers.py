"""Two processes that form a process group, as the workers of a trial do."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import multiprocessing

Work = Callable[[int, Path], Any]


def run_two_workers(work: Work, folder: Path, *, backend: str = "gloo") -> list[Any]:
    """Return what `work(rank, folder)` returned in each of two processes.

    Args:
        work: a function of a module, which the processes import.
        folder: folder of the results and of anything that `work` keeps.
    """
    multiprocessing.spawn(_work_and_exit, args=(work, folder, backend), nprocs=2)
    return [torch.load(_result_path(folder, rank)) for rank in range(2)]


def _work_and_exit(rank: int, work: Work, folder: Path, backend: str) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    dist.init_process_group(backend, init_method=f"file://{folder}/store", rank=rank, world_size=2)
    torch.save(work(rank, folder), _result_path(folder, rank))
    dist.barrier()
    # A thread of gloo may still hold a tensor, whose end aborts a process that is shutting down.
    os._exit(0)


def _result_path(folder: Path, rank: int) -> Path:
    return folder / f"rank{rank}.pt"
