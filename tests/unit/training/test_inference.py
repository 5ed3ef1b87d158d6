from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from adaptune.data.device_images import DeviceImages
from adaptune.data.image_set import in_memory
from adaptune.training import inference
from adaptune.training.inference import image_batches, infer, inference_batch_size


def make_images(count: int = 10, size: int = 16) -> DeviceImages:
    pixels = np.random.default_rng(0).integers(0, 256, (count, 3, size, size), dtype=np.uint8)
    return DeviceImages(in_memory(pixels), None, "cpu")


@pytest.mark.parametrize(
    ("size_px", "images"), [(16, 512), (32, 512), (64, 128), (224, 10), (256, 8), (1024, 1)]
)
def test_a_batch_has_fewer_of_larger_images(size_px: int, images: int) -> None:
    assert inference_batch_size(size_px) == images


def test_all_images_come_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "MAX_BATCH", 4)
    assert [len(batch) for batch in image_batches(make_images())] == [4, 4, 2]


def test_outputs_are_in_the_order_of_the_indices_and_have_no_gradient() -> None:
    network = nn.Conv2d(3, 2, 3)
    images = make_images()
    indices = torch.tensor([7, 0, 3])
    outputs = infer(network, images, indices)
    assert not outputs.requires_grad
    torch.testing.assert_close(outputs, network(images.take(indices)).detach())


def test_a_network_in_bf16_has_float32_outputs() -> None:
    computed = []

    def network(batch: torch.Tensor) -> torch.Tensor:
        computed.append(nn.functional.conv2d(batch, torch.ones(1, 3, 3, 3)))
        return computed[-1]

    assert infer(network, make_images(), bf16=True).dtype == torch.float32
    assert computed[0].dtype == torch.bfloat16
