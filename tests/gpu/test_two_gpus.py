"""A trial whose two workers have a CUDA device each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.on_gpu import assert_close, cuda, epoch_losses
from support.two_workers import run_two_workers

from adaptune.execution.ray_train import backend_of
from adaptune.spec.resources import WorkerResources
from adaptune.training.distributed import all_reduce_sum, gather_on_rank_0

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices"),
]
BACKEND = backend_of(WorkerResources(2, 1, 1.0)) or ""
LARGE = 10**7  # numbers


def train(rank: int, folder: Path) -> list[dict[str, float]]:
    torch.cuda.set_device(rank)
    return list(epoch_losses(torch.device("cuda", rank), folder / "two", pool_size=0))


def gather(rank: int, folder: Path) -> dict[str, Any]:
    device = torch.device("cuda", rank)
    torch.cuda.set_device(device)
    total = all_reduce_sum(torch.ones(3, device=device))
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.max_memory_allocated(device)
    pools = gather_on_rank_0(torch.full((LARGE,), float(rank)))
    grown = torch.cuda.max_memory_allocated(device) - before
    means = [pool.mean().item() for pool in pools if isinstance(pool, torch.Tensor)]
    return {"total": total.tolist(), "means": means, "grown": grown}


def test_two_gpus_have_the_losses_of_one(tmp_path: Path) -> None:
    expected = list(epoch_losses(cuda(), tmp_path / "one", pool_size=0))
    for losses in run_two_workers(train, tmp_path, backend=BACKEND):
        assert_close(losses, expected)


def test_objects_take_no_memory_of_the_gpus(tmp_path: Path) -> None:
    first, second = run_two_workers(gather, tmp_path, backend=BACKEND)
    assert first["total"] == second["total"] == [2.0, 2.0, 2.0]
    assert (first["means"], second["means"]) == ([0.0, 1.0], [])
    assert first["grown"] < LARGE
    assert second["grown"] < LARGE
