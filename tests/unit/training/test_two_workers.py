"""Two DDP workers with half a batch each are one worker with the whole one."""

from __future__ import annotations

import itertools
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from support.augmentations import ALL_OF_GREY
from support.tiny_trial import (
    CPU,
    make_data,
    make_images,
    make_source_weights,
    make_spec,
    make_state,
    on_disk,
)
from support.two_workers import run_two_workers

from adaptune.data.sampling import UnpairedSampler
from adaptune.data.splits import TrialData
from adaptune.errors import PreemptedError
from adaptune.training import epoch_trainer
from adaptune.training.batch_norm import adapted_copy, running_statistics
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.distributed import (
    all_reduce_mean,
    unwrap,
)
from adaptune.training.loop import fit
from adaptune.training.steps.augment import augmented_batch
from adaptune.training.steps.cycada import cycada_step
from adaptune.training.steps.cyclegan import cyclegan_step

STEPS = 3
# The semantic gate opens during these updates, see test_gates_moved.
CYCADA = {
    "method": "cycada",
    "loss_weights": {"information": 2, "feature": 1},
    "semantic_gate": 1.1,
}
CASES: dict[str, dict[str, Any]] = {
    "cycada": CYCADA | {"feature_gate": 0.4},
    "task on both": CYCADA | {"feature_gate": 0.4, "task_images": "both"},
    "in parts": CYCADA | {"feature_gate": 0.4, "accumulate": 2, "recompute_blocks": True},
    "labelled target": {
        "method": "cycada",
        "train_labels": 2,
        "loss_weights": {"task_target": 1},
        "feature_gate": 0.4,
    },
    "feature gate shut": CYCADA | {"feature_gate": 0.53},
    "information": {
        "method": "cycada",
        "loss_weights": {"task": 0, "information": 1, "feature": 0, "semantic": 0},
    },
    "confusion and consistency": {
        "method": "cycada",
        "loss_weights": {"confusion": 2, "consistency": 2, "information": 0, "feature": 0},
        "consistency": {"threshold": 0.36, "mask": 0.5},
    },
    "cyclegan": {"method": "cyclegan", "gan_loss": "log"},
    "discriminators": {
        "method": "cyclegan",
        "gan_loss": "hinge",
        "loss_weights": {"gradient_penalty": 0.3},
        "gradient_penalty_every": 2,
        "d_augment": {"brightness": 0.5, "contrast": 0.5, "shift": 0.125, "cutout": 0.3},
        "accumulate": 2,
    },
    "augmented": CYCADA
    | {
        "feature_gate": 0.4,
        "augment": ALL_OF_GREY,
        "semantic_target_labels": "adapted",
        "semantic_confidence": 0.4,
        "gan_augment": {"flip": 0.5, "enlarge": 1.2},
    },
}
FIT_CASES: dict[str, dict[str, Any]] = {
    "cycada": CASES["cycada"],
    "cyclegan": CASES["cyclegan"],
    "balanced": CASES["cycada"] | {"source_sampling": "balanced"},
}


def train(case: str) -> dict[str, Any]:
    """Train some updates.

    Returns:
        Terms (means over the workers), gradients of each update, parameters and averages.
    """
    options = {"augment": {"shift": 0.1, "rotate": 10}} | CASES[case]
    spec = make_spec(batch_size=8, classifier_ema_decay=0.9, ema_decay=0.9, **options)
    state = make_state(spec)
    images = make_images(spec, state)
    labelled_size = 0
    if images.labelled_target is not None:
        labelled_size = len(images.labelled_target)
    sampler = UnpairedSampler(
        len(images.source), len(images.target), 8, seed=0, labelled_size=labelled_size
    )
    gradients: list[torch.Tensor] = []

    def remember(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        for group in optimizer.param_groups:
            gradients.extend(p.grad.clone() for p in group["params"] if p.grad is not None)

    for optimizer in state.optimizers.by_name().values():
        optimizer.register_step_pre_hook(remember)
    step = {"cycada": cycada_step, "cyclegan": cyclegan_step}[spec.method]
    terms = []
    for _ in range(STEPS):
        state.set_rates()
        indices = images.indices(sampler, state.step)
        batch = images.batch(indices, indices, true_semantic=False)
        batch = augmented_batch(state, batch)
        means = {}
        [group_terms] = step([state], batch)
        for name, value in group_terms.items():
            means[name] = all_reduce_mean(value.float()).item()
        terms.append(means)
        state.update_averages()
        state.step += 1
    networks = state.networks.trained()
    return {
        "terms": terms,
        "gradients": gradients,
        "parameters": {name: dict(unwrap(net).state_dict()) for name, net in networks.items()},
        "averages": {name: dict(net.module.state_dict()) for name, net in state.averages.items()},
    }


def fit_numbers(case: str, data: TrialData | None = None, **options: Any) -> list[dict[str, Any]]:
    """Return the numbers of a trial of three epochs, up to its preemption if there is one."""
    spec = make_spec(
        batch_size=8, epochs=3, classifier_ema_decay=0.9, ema_decay=0.9, **FIT_CASES[case]
    )
    data = data or make_data()
    records = []
    with suppress(PreemptedError):
        records.extend(fit(spec, data, make_source_weights(spec), device=CPU, **options))
    numbers = []
    for record in records:
        row = record.flat()
        numbers.append({key: value for key, value in row.items() if not key.endswith("_s")})
    return numbers


def preempted_numbers(case: str, checkpoints: CheckpointFolder) -> list[dict[str, Any]]:
    """Return the numbers of a trial that is preempted after its first update and resumed."""
    epoch_trainer.PREEMPTION_CHECK_STEPS = 1
    checks = itertools.count()
    before = fit_numbers(case, checkpoints=checkpoints, is_preempted=lambda: next(checks) == 1)
    assert before == []
    dist.barrier()  # rank 0 has written the checkpoint from which both resume
    return fit_numbers(case, checkpoints=checkpoints)


def adapted_batch_norm() -> dict[str, torch.Tensor]:
    """Return the batch norm statistics of a classifier on the target."""
    spec = make_spec(classifier="dtn", size=32, adapt_batch_norm=True)
    state = make_state(spec)
    target = make_images(spec, state).target
    return running_statistics(adapted_copy(unwrap(state.networks.f_t), target, spec))


def work(rank: int, folder: Path) -> dict[str, Any]:
    results: dict[str, Any] = {case: train(case) for case in CASES}
    results["fit"] = {case: fit_numbers(case) for case in FIT_CASES}
    streamed = on_disk(make_data(), folder / f"images-{rank}")
    results["streamed"] = fit_numbers("cycada", streamed)
    results["preempted"] = preempted_numbers("cycada", CheckpointFolder(f"{folder}/preempted"))
    results["batch norm"] = adapted_batch_norm()
    return results


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return run_two_workers(work, tmp_path_factory.mktemp("ddp"))


@pytest.fixture(scope="module")
def alone() -> dict[str, dict[str, Any]]:
    return {case: train(case) for case in CASES}


@pytest.mark.slow
@pytest.mark.parametrize("case", list(CASES))
def test_two_workers_equal_one(case: str, workers: list[Any], alone: dict[str, Any]) -> None:
    for worker in workers:
        torch.testing.assert_close(worker[case], alone[case], rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("case", list(FIT_CASES))
def test_two_workers_have_the_losses_of_one_over_three_epochs(
    case: str, workers: list[Any]
) -> None:
    torch.testing.assert_close(workers[0]["fit"][case], fit_numbers(case), rtol=0, atol=1e-4)


@pytest.mark.slow
def test_two_workers_adapt_batch_norm_as_one_does(workers: list[Any]) -> None:
    for worker in workers:
        torch.testing.assert_close(worker["batch norm"], adapted_batch_norm(), rtol=0, atol=0)


@pytest.mark.slow
def test_two_workers_that_stream_their_images_have_the_losses_of_those_that_do_not(
    workers: list[Any],
) -> None:
    assert workers[0]["streamed"] == workers[0]["fit"]["cycada"]


@pytest.mark.slow
def test_two_workers_that_are_preempted_resume_with_the_losses_of_one(workers: list[Any]) -> None:
    for worker in workers:
        torch.testing.assert_close(worker["preempted"], fit_numbers("cycada"), rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("case", list(CASES))
def test_workers_do_not_drift_apart(case: str, workers: list[Any]) -> None:
    first, second = (worker[case] for worker in workers)
    torch.testing.assert_close(first["parameters"], second["parameters"], rtol=0, atol=0)
    torch.testing.assert_close(first["averages"], second["averages"], rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize(("case", "gate"), [("cycada", 1.0), ("feature gate shut", 0.0)])
def test_gates_moved(case: str, gate: float, alone: dict[str, Any]) -> None:
    terms = alone[case]["terms"]
    assert {step["feature_gate"] for step in terms} == {gate}
    assert terms[0]["semantic"] == 0
    assert terms[-1]["semantic"] > 0


@pytest.mark.slow
def test_the_teacher_was_sure_of_some_images(alone: dict[str, Any]) -> None:
    terms = alone["confusion and consistency"]["terms"]
    assert 0 < sum(step["confident"] for step in terms) < len(terms)
