"""Training on CUDA devices: the same numbers as on a CPU."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from support.on_gpu import CLOSE, assert_close, cuda, epoch_losses, group_losses, no_waits
from support.tiny_trial import CPU
from support.training_options import OPTIONS
from torch import nn

from adaptune.data.transfer import to_device
from adaptune.training.averages import MovingAverage

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


@pytest.mark.parametrize("generator", ["unshuffle", "resnet"])
@pytest.mark.parametrize("method", ["cycada", "cyclegan"])
def test_a_gpu_has_the_losses_of_a_cpu(method: str, generator: str, tmp_path: Path) -> None:
    options = {"method": method, "generator": generator, "epochs": 2}
    expected = list(epoch_losses(CPU, tmp_path / "cpu", **options))
    assert_close(list(epoch_losses(cuda(), tmp_path / "gpu", **options)), expected)


@pytest.mark.parametrize("name", list(OPTIONS))
def test_every_option_has_the_losses_of_a_cpu(name: str, tmp_path: Path) -> None:
    options = OPTIONS[name] | {"epochs": 1}
    expected = list(epoch_losses(CPU, tmp_path / "cpu", **options))
    assert_close(list(epoch_losses(cuda(), tmp_path / "gpu", **options)), expected)


def test_blocks_that_are_computed_again_have_the_same_losses(tmp_path: Path) -> None:
    options: dict[str, Any] = {"epochs": 1, "generator": "resnet"}
    expected = list(epoch_losses(cuda(), tmp_path / "stored", **options))
    losses = epoch_losses(cuda(), tmp_path / "again", recompute_blocks=True, **options)
    assert_close(list(losses), expected)


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


def test_averaging_never_makes_the_cpu_wait_for_the_gpu() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)).to(cuda())
    average = MovingAverage(network, 0.9)
    with no_waits():
        for _ in range(3):
            average.update(network)


def test_a_copy_to_the_gpu_never_makes_the_cpu_wait() -> None:
    values = torch.arange(1000)
    with no_waits():
        copies = [to_device(values + number, cuda()) for number in range(20)]
    for number, copy in enumerate(copies):
        assert torch.equal(copy.cpu(), values + number)
