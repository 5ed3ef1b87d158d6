"""Two DDP workers with half a batch each are one worker with the whole one."""

from __future__ import annotations

import itertools
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from support.tiny_trial import (
    CPU,
    make_data,
    make_images,
    make_source_weights,
    make_spec,
    make_state,
)
from torch import multiprocessing

from adaptune.data.sampling import UnpairedSampler
from adaptune.errors import PreemptedError
from adaptune.training import loop
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.distributed import (
    all_gather_with_grad,
    all_reduce_mean,
    average_buffers,
    unwrap,
)
from adaptune.training.loop import fit
from adaptune.training.state import TRAINED
from adaptune.training.steps.cycada import cycada_step
from adaptune.training.steps.cyclegan import cyclegan_step

pytestmark = pytest.mark.slow
STEPS = 3
# The semantic gate opens on the way: see test_gates_moved.
CYCADA = {
    "method": "cycada",
    "loss_weights": {"information": 2, "feature": 1},
    "semantic_gate": 1.1,
}
CASES: dict[str, dict[str, Any]] = {
    "cycada": CYCADA | {"feature_gate": 0.4},
    "task on both": CYCADA | {"feature_gate": 0.4, "task_images": "both"},
    "feature gate shut": CYCADA | {"feature_gate": 0.53},
    "information": {
        "method": "cycada",
        "loss_weights": {"task": 0, "information": 1, "feature": 0, "semantic": 0},
    },
    "cyclegan": {"method": "cyclegan", "gan_loss": "log"},
}


def train(case: str) -> dict[str, Any]:
    """LossTerms (means over the workers), gradients of each update and parameters at the end."""
    spec = make_spec(
        batch_size=8,
        augment={"shift": 0.1, "rotate": 10},
        classifier_ema_decay=0.9,
        ema_decay=0.9,
        **CASES[case],
    )
    state = make_state(spec)
    images = make_images(spec, state)
    sampler = UnpairedSampler(len(images.source), len(images.target), 8, seed=0)
    gradients: list[torch.Tensor] = []

    def note(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        for group in optimizer.param_groups:
            gradients.extend(p.grad.clone() for p in group["params"] if p.grad is not None)

    for name in state.base_lrs:
        getattr(state.optimizers, name).register_step_pre_hook(note)
    terms = []
    for _ in range(STEPS):
        state.set_learning_rates()
        batch = images.batch(sampler, state.step, true_semantic=False)
        step = {"cycada": cycada_step, "cyclegan": cyclegan_step}[spec.method]
        terms.append(
            {
                name: all_reduce_mean(value.float()).item()
                for name, value in step(state, batch).items()
            }
        )
        state.update_averages()
        state.step += 1
    return {
        "terms": terms,
        "gradients": gradients,
        "parameters": {
            name: dict(unwrap(getattr(state.networks, name)).state_dict()) for name in TRAINED
        },
        "averages": {name: dict(module.state_dict()) for name, module in state.averages.items()},
    }


def fit_losses(case: str, **options: Any) -> list[dict[str, float]]:
    """The mean terms of three epochs of a trial, evaluation and averages included; less where it is preempted."""
    spec = make_spec(batch_size=8, epochs=3, classifier_ema_decay=0.9, ema_decay=0.9, **CASES[case])
    records = []
    with suppress(PreemptedError):
        records.extend(fit(spec, make_data(), make_source_weights(spec), device=CPU, **options))
    return [
        {key: value for key, value in record.items() if not key.endswith("_s")}
        for record in records
    ]


def preempted_losses(case: str, checkpoints: CheckpointFolder) -> list[dict[str, float]]:
    """The same of a trial that is broken off after its first update, and goes on."""
    loop.NOTICE_EVERY_STEPS = 1
    asked = itertools.count()
    assert fit_losses(case, checkpoints=checkpoints, notice=lambda: next(asked) == 1) == []
    dist.barrier()  # one of them wrote what both go on from
    return fit_losses(case, checkpoints=checkpoints)


def work(rank: int, folder: str) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    results: dict[str, Any] = {case: train(case) for case in CASES}
    results["fit"] = {case: fit_losses(case) for case in ("cycada", "cyclegan")}
    results["preempted"] = preempted_losses("cycada", CheckpointFolder(f"{folder}/preempted"))
    rows = torch.tensor([[1.0 + rank]], requires_grad=True)
    gathered = all_gather_with_grad(rows)
    (gathered * torch.tensor([[10.0], [100.0]])).sum().backward()
    norm = torch.nn.BatchNorm1d(2)
    norm.running_mean.fill_(rank)
    average_buffers([norm])
    results["helpers"] = {
        "gathered": gathered.detach(),
        "slope": rows.grad,
        "mean": norm.running_mean,
    }
    torch.save(results, f"{folder}/rank{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder: Path = tmp_path_factory.mktemp("ddp")
    multiprocessing.spawn(work, args=(str(folder),), nprocs=2)
    return [torch.load(folder / f"rank{rank}.pt") for rank in range(2)]


@pytest.fixture(scope="module")
def alone() -> dict[str, dict[str, Any]]:
    return {case: train(case) for case in CASES}


@pytest.mark.parametrize("case", list(CASES))
def test_two_workers_equal_one(case: str, workers: list[Any], alone: dict[str, Any]) -> None:
    for worker in workers:
        torch.testing.assert_close(worker[case], alone[case], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", ["cycada", "cyclegan"])
def test_two_workers_have_the_losses_of_one_over_three_epochs(
    case: str, workers: list[Any]
) -> None:
    torch.testing.assert_close(workers[0]["fit"][case], fit_losses(case), rtol=0, atol=1e-4)


def test_two_workers_that_are_preempted_go_on_with_the_losses_of_one(workers: list[Any]) -> None:
    for worker in workers:
        torch.testing.assert_close(worker["preempted"], fit_losses("cycada"), rtol=0, atol=1e-4)


@pytest.mark.parametrize("case", list(CASES))
def test_workers_do_not_drift_apart(case: str, workers: list[Any]) -> None:
    first, second = (worker[case] for worker in workers)
    torch.testing.assert_close(first["parameters"], second["parameters"], rtol=0, atol=0)
    torch.testing.assert_close(first["averages"], second["averages"], rtol=0, atol=0)


@pytest.mark.parametrize(("case", "gate"), [("cycada", 1.0), ("feature gate shut", 0.0)])
def test_gates_moved(case: str, gate: float, alone: dict[str, Any]) -> None:
    terms = alone[case]["terms"]
    assert {step["feature_gate"] for step in terms} == {gate}
    assert terms[0]["semantic"] == 0
    assert terms[-1]["semantic"] > 0


def test_gathered_rows_take_the_gradient_of_every_workers_loss(workers: list[Any]) -> None:
    for worker, slope in zip(workers, (10.0, 100.0), strict=True):
        assert worker["helpers"]["gathered"].tolist() == [[1.0], [2.0]]
        assert worker["helpers"]["slope"].item() == 2 * slope
        assert worker["helpers"]["mean"].tolist() == [0.5, 0.5]


def test_alone_nothing_is_gathered() -> None:
    rows = torch.ones(2, 3)
    assert all_gather_with_grad(rows) is rows
