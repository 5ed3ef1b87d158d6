"""Updates on a CUDA device: never waited for, and measured."""

from __future__ import annotations

from typing import Any

import gpu
import pytest
import torch
from support.on_gpu import EVERYTHING, cuda, data_of, no_waits
from support.tiny_trial import CPU, make_data, make_source_weights, make_spec
from support.training_options import OPTIONS

from adaptune.data.device_images import DeviceImages
from adaptune.training.build import set_backends
from adaptune.training.epoch_trainer import EpochTrainer
from adaptune.training.group import Member
from adaptune.training.source_classifier import train_supervised
from adaptune.training.state import build_state
from adaptune.training.steps.batch import TrainingImages
from adaptune.training.validation import predict_all

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


@pytest.mark.parametrize("name", list(OPTIONS))
def test_an_update_never_makes_the_cpu_wait(name: str) -> None:
    spec = make_spec(**(EVERYTHING | {"batch_size": 8} | OPTIONS[name]))
    state = build_state(spec, 3, make_source_weights(spec), cuda())
    images = TrainingImages(data_of(spec), cuda())
    images.predict(state.networks.f_s)
    trainer = EpochTrainer(spec, images, None)
    members = [Member(state)]
    trainer._update(members)  # makes what is kept
    with no_waits():
        for _ in range(3):
            trainer._update(members)


@pytest.mark.parametrize("bf16", [False, True])
def test_f_s_is_nearly_the_one_of_a_cpu(bf16: bool) -> None:
    data = make_data()
    stage: dict[str, Any] = {"steps": 4, "batch_size": 8}
    spec = make_spec(tf32=False, augment={"shift": 0.1, "rotate": 10}, source=stage)
    set_backends(spec)
    weights = []
    for device in (CPU, cuda()):
        images = DeviceImages(data.source_train_images, data.source_train_labels, device)
        weights.append(train_supervised(spec, images, 3, bf16=bf16))
    expected, on_gpu = weights
    assert all(value.device == CPU for value in on_gpu.values())
    torch.testing.assert_close(on_gpu, expected, rtol=0, atol=0.02 if bf16 else 1e-3)


def test_predictions_are_those_of_a_cpu() -> None:
    spec = make_spec(tf32=False)
    set_backends(spec)
    logits = []
    for device in (CPU, cuda()):
        f_s = build_state(spec, 3, make_source_weights(spec), device).networks.f_s
        images = DeviceImages(make_data().source_val_images, None, device)
        logits.append(predict_all(f_s, images).logits.cpu())
    expected, on_gpu = logits
    torch.testing.assert_close(on_gpu, expected, rtol=1e-3, atol=1e-3)


def test_the_benchmark_measures_a_gpu() -> None:
    result = gpu.measure(make_spec(), gpu.MODES[0], gpu.Gpu(), updates=3, rounds=1)
    assert 0 < result.busy <= 1
    assert result.memory_bytes > 0
