"""The communication between the workers of a trial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.collectives import Collectives
from support.tiny_trial import CPU
from support.two_workers import run_two_workers

from adaptune.training.distributed import (
    all_gather_with_grad,
    all_reduce_mean,
    all_reduce_sum,
    average_buffers,
    ddp_wrap,
    gather_on_rank_0,
    rank,
    unwrap,
    world_size,
)


def communicate() -> dict[str, Any]:
    """Return the results of each collective operation."""
    rows = torch.tensor([[1.0 + rank()]], requires_grad=True)
    gathered = all_gather_with_grad(rows)
    loss = (gathered * torch.tensor([[10.0], [100.0]])).sum()
    collectives = Collectives()
    with collectives:
        loss.backward()
    norms = [torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(3)]
    for norm in norms:
        assert norm.running_mean is not None
        norm.running_mean.fill_(len(norm.running_mean) * rank())
    collectives_of_buffers = Collectives()
    with collectives_of_buffers:
        average_buffers(norms)
    value = torch.tensor([1.0 + rank(), 5.0])
    return {
        "gathered": gathered.detach(),
        "slope": rows.grad,
        "collectives of the backward pass": collectives.names,
        "running means": [norm.running_mean for norm in norms],
        "collectives of buffers": collectives_of_buffers.names,
        "sum": all_reduce_sum(value),
        "mean": all_reduce_mean(value),
        "value": value,
        "objects": gather_on_rank_0({"rank": rank()}),
    }


def work(rank: int, folder: Path) -> dict[str, Any]:
    return communicate()


# On GPUs, objects and tensors of the CPU go by gloo, and all others by NCCL.
@pytest.fixture(scope="module", params=["gloo", "cpu:gloo,cuda:gloo"])
def workers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    return run_two_workers(work, tmp_path_factory.mktemp("ddp"), backend=request.param)


@pytest.mark.slow
def test_gathered_rows_have_the_gradients_of_every_workers_loss(workers: list[Any]) -> None:
    for worker, slope in zip(workers, (10.0, 100.0), strict=True):
        assert worker["gathered"].tolist() == [[1.0], [2.0]]
        assert worker["slope"].item() == 2 * slope
        assert worker["collectives of the backward pass"] == []


@pytest.mark.slow
def test_buffers_sums_and_means_are_equal_on_all_workers(workers: list[Any]) -> None:
    for rank_of_worker, worker in enumerate(workers):
        means = [mean.tolist() for mean in worker["running means"]]
        assert means == [[1.0, 1.0], [1.5, 1.5, 1.5]]
        assert worker["collectives of buffers"] == ["allreduce"]
        assert worker["sum"].tolist() == [3.0, 10.0]
        assert worker["mean"].tolist() == [1.5, 5.0]
        assert worker["value"].tolist() == [1.0 + rank_of_worker, 5.0]


@pytest.mark.slow
def test_objects_are_gathered_on_rank_0_only(workers: list[Any]) -> None:
    assert workers[0]["objects"] == [{"rank": 0}, {"rank": 1}]
    assert workers[1]["objects"] == []


def test_one_worker_communicates_with_nobody() -> None:
    assert (rank(), world_size()) == (0, 1)
    value = torch.ones(2, 3)
    for operation in (all_gather_with_grad, all_reduce_mean, all_reduce_sum):
        assert operation(value) is value
    assert gather_on_rank_0("value") == ["value"]
    network = torch.nn.Linear(1, 1)
    assert ddp_wrap(network, CPU) is network
    assert unwrap(network) is network
