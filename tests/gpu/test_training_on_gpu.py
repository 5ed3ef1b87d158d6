"""Training on CUDA devices: the same code, and the numbers of a CPU."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from support.tiny_trial import CPU, WITH_MEMORY, make_data, make_source_weights, make_spec
from torch import multiprocessing

from adaptune.execution.base import TrialJob, WorkerRuntime
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.loop import Record

GPUS = torch.cuda.device_count()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not GPUS, reason="no CUDA device")]
# TF32 would hide a wrong number behind its rounding.
EVERYTHING: dict[str, Any] = {"tf32": False} | WITH_MEMORY
CLOSE: dict[str, Any] = {"rel": 1e-3, "abs": 1e-3}


def records(device: torch.device, folder: Path, **options: Any) -> Iterator[Record]:
    """A tiny trial's epochs, as a lane runs them, without their seconds."""
    spec = make_spec(**(EVERYTHING | {"batch_size": 8} | options))
    bench = WorkerRuntime(make_data(), make_source_weights(spec), device)
    job = TrialJob(0, spec, CheckpointFolder(str(folder)), "target_val_accuracy", health=True)
    for record in bench.records(job):
        yield {key: value for key, value in record.items() if key.startswith("loss/")}


def cuda() -> torch.device:
    return torch.device("cuda", 0)


@pytest.mark.parametrize("generator", ["unshuffle", "resnet"])
@pytest.mark.parametrize("method", ["cycada", "cyclegan"])
def test_a_gpu_has_the_losses_of_a_cpu(method: str, generator: str, tmp_path: Path) -> None:
    options = {"method": method, "generator": generator, "epochs": 2}
    expected = list(records(CPU, tmp_path / "cpu", **options))
    for ours, theirs in zip(records(cuda(), tmp_path / "gpu", **options), expected, strict=True):
        assert ours == pytest.approx(theirs, **CLOSE)


def test_bf16_has_nearly_the_losses_of_fp32(tmp_path: Path) -> None:
    [expected] = records(cuda(), tmp_path / "fp32", epochs=1, feature_gate=0.0)
    [record] = records(cuda(), tmp_path / "bf16", epochs=1, feature_gate=0.0, precision="bf16")
    assert all(math.isfinite(value) for value in record.values())
    assert record == pytest.approx(expected, rel=0.1, abs=0.05)


@pytest.mark.parametrize("goes_on", ["cuda", "cpu"])
def test_a_trial_goes_on_from_a_gpus_checkpoint(goes_on: str, tmp_path: Path) -> None:
    expected = list(records(cuda(), tmp_path / "whole"))
    begun = records(cuda(), tmp_path / "halves")
    first = [next(begun), next(begun)]
    begun.close()
    second = list(records(cuda() if goes_on == "cuda" else CPU, tmp_path / "halves"))
    for ours, theirs in zip([*first, *second[1:]], expected, strict=True):
        assert ours == pytest.approx(theirs, **CLOSE)


def nccl_worker(rank: int, folder: str) -> None:
    torch.cuda.set_device(rank)
    dist.init_process_group("nccl", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    found = list(records(torch.device("cuda", rank), Path(folder) / "two", pool_size=0))
    torch.save(found, f"{folder}/rank{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.skipif(GPUS < 2, reason="needs two CUDA devices")
def test_two_gpus_have_the_losses_of_one(tmp_path: Path) -> None:
    multiprocessing.spawn(nccl_worker, args=(str(tmp_path),), nprocs=2)
    expected = list(records(cuda(), tmp_path / "one", pool_size=0))
    for rank in range(2):
        for ours, theirs in zip(torch.load(tmp_path / f"rank{rank}.pt"), expected, strict=True):
            assert ours == pytest.approx(theirs, **CLOSE)
