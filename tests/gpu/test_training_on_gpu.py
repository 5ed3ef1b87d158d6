"""Training on CUDA devices: the same numbers as on a CPU."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from support.tiny_trial import CPU, WITH_MEMORY, make_data, make_source_weights, make_spec
from support.two_workers import run_two_workers
from torch import nn

from adaptune.data.transfer import to_device
from adaptune.execution.runtime import GroupJob, TrialJob, WorkerRuntime
from adaptune.training.averages import MovingAverage
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.record import TARGET_VAL, EpochRecord

GPUS = torch.cuda.device_count()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not GPUS, reason="no CUDA device")]
# The rounding of TF32 would hide a wrong number.
EVERYTHING: dict[str, Any] = {"tf32": False} | WITH_MEMORY
CLOSE: dict[str, Any] = {"rel": 1e-3, "abs": 1e-3}


def epoch_losses(device: torch.device, folder: Path, **options: Any) -> Iterator[dict[str, float]]:
    """Yield the mean losses of each epoch of a tiny trial, trained as a runner trains it."""
    for losses in group_losses(device, folder, [options]):
        yield losses[0]


def group_losses(
    device: torch.device, folder: Path, trials: Sequence[dict[str, Any]]
) -> Iterator[list[dict[str, float]]]:
    """Yield the mean losses of each epoch of tiny trials that train together, in their order.

    Args:
        trials: options of each trial.
    """
    jobs = []
    for number, options in enumerate(trials):
        spec = make_spec(**(EVERYTHING | {"batch_size": 8} | options))
        checkpoints = CheckpointFolder(str(folder), identity=f"trial {number}")
        jobs.append(TrialJob(number, spec, checkpoints, TARGET_VAL, check_health=True))
    runtime = WorkerRuntime(make_data(), make_source_weights(jobs[0].spec), device)
    for outcomes in runtime.outcomes(GroupJob(tuple(jobs))):
        losses = []
        for number in range(len(jobs)):
            record = outcomes[number]
            assert isinstance(record, EpochRecord)
            losses.append(dict(record.losses))
        yield losses


def cuda() -> torch.device:
    return torch.device("cuda", 0)


def assert_close(losses: list[dict[str, float]], expected: list[dict[str, float]]) -> None:
    for epoch, expected_epoch in zip(losses, expected, strict=True):
        assert epoch == pytest.approx(expected_epoch, **CLOSE)


@pytest.mark.parametrize("generator", ["unshuffle", "resnet"])
@pytest.mark.parametrize("method", ["cycada", "cyclegan"])
def test_a_gpu_has_the_losses_of_a_cpu(method: str, generator: str, tmp_path: Path) -> None:
    options = {"method": method, "generator": generator, "epochs": 2}
    expected = list(epoch_losses(CPU, tmp_path / "cpu", **options))
    assert_close(list(epoch_losses(cuda(), tmp_path / "gpu", **options)), expected)


def test_trials_that_train_together_have_the_losses_that_they_have_alone(tmp_path: Path) -> None:
    shared: dict[str, Any] = {"semantic_gate": None, "dropout": 0.3, "epochs": 2}
    members: list[dict[str, Any]] = [{}, {"classifier_lr": 0.003}, {"task_images": "both"}]
    trials = [shared | member for member in members]
    together = list(group_losses(cuda(), tmp_path / "together", trials))
    for index, trial in enumerate(trials):
        alone = list(epoch_losses(cuda(), tmp_path / str(index), **trial))
        assert_close([losses[index] for losses in together], alone)


def test_bf16_has_nearly_the_losses_of_fp32(tmp_path: Path) -> None:
    [expected] = epoch_losses(cuda(), tmp_path / "fp32", epochs=1, feature_gate=0.0)
    [losses] = epoch_losses(cuda(), tmp_path / "bf16", epochs=1, feature_gate=0.0, precision="bf16")
    assert all(math.isfinite(value) for value in losses.values())
    assert losses == pytest.approx(expected, rel=0.1, abs=0.05)


def test_precision_auto_is_bf16_where_the_gpu_computes_it(tmp_path: Path) -> None:
    in_hardware = torch.cuda.is_bf16_supported(including_emulation=False)
    chosen = "bf16" if in_hardware else "fp32"
    options: dict[str, Any] = {"epochs": 1, "feature_gate": 0.0}
    [expected] = epoch_losses(cuda(), tmp_path / "chosen", precision=chosen, **options)
    [losses] = epoch_losses(cuda(), tmp_path / "auto", precision="auto", **options)
    assert losses == pytest.approx(expected, **CLOSE)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")  # torch's own
def test_compiled_networks_have_the_losses_of_the_others(tmp_path: Path) -> None:
    expected = list(epoch_losses(cuda(), tmp_path / "plain", epochs=2))
    assert_close(
        list(epoch_losses(cuda(), tmp_path / "compiled", epochs=2, compile=True)), expected
    )


@pytest.mark.parametrize("channels_last", [True, False])
def test_the_layout_of_images_changes_no_loss(channels_last: bool, tmp_path: Path) -> None:
    options: dict[str, Any] = {"epochs": 1, "generator": "resnet"}
    expected = list(epoch_losses(CPU, tmp_path / "cpu", **options))
    losses = epoch_losses(cuda(), tmp_path / "gpu", channels_last=channels_last, **options)
    assert_close(list(losses), expected)


@pytest.mark.parametrize("second_device", ["cuda", "cpu"])
def test_a_trial_resumes_from_the_checkpoint_of_a_gpu(second_device: str, tmp_path: Path) -> None:
    expected = list(epoch_losses(cuda(), tmp_path / "whole"))
    interrupted = epoch_losses(cuda(), tmp_path / "halves")
    first = [next(interrupted), next(interrupted)]
    interrupted.close()
    device = cuda() if second_device == "cuda" else CPU
    second = list(epoch_losses(device, tmp_path / "halves"))
    assert_close([*first, *second[1:]], expected)


@pytest.mark.filterwarnings("ignore:Synchronization debug mode:UserWarning")
def test_averaging_never_makes_the_cpu_wait_for_the_gpu() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)).to(cuda())
    average = MovingAverage(network, 0.9)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(3):
            average.update(network)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.filterwarnings("ignore:Synchronization debug mode:UserWarning")
def test_a_copy_to_the_gpu_never_makes_the_cpu_wait() -> None:
    values = torch.arange(1000)
    torch.cuda.set_sync_debug_mode("error")
    try:
        copies = [to_device(values + number, cuda()) for number in range(20)]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for number, copy in enumerate(copies):
        assert torch.equal(copy.cpu(), values + number)


def nccl_worker(rank: int, folder: Path) -> list[dict[str, float]]:
    torch.cuda.set_device(rank)
    return list(epoch_losses(torch.device("cuda", rank), folder / "two", pool_size=0))


@pytest.mark.skipif(GPUS < 2, reason="needs two CUDA devices")
def test_two_gpus_have_the_losses_of_one(tmp_path: Path) -> None:
    expected = list(epoch_losses(cuda(), tmp_path / "one", pool_size=0))
    for losses in run_two_workers(nccl_worker, tmp_path, backend="nccl"):
        assert_close(losses, expected)
