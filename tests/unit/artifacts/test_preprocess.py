"""The preprocessing of exported networks is that of training, in float64 and as matrix products."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812  (its usual name)

from adaptune.artifacts.preprocess import Preprocess, resize_by_matrices, to_uint8
from adaptune.data.preprocessing import prepare_as
from adaptune.spec.data import DomainSpec

NOISE = np.random.default_rng(0).integers(0, 256, (3, 45, 37, 3), dtype=np.uint8)


def form(**settings: Any) -> DomainSpec:
    return DomainSpec.model_validate({"domain": "imagefolder:x", "size": 16} | settings)


@pytest.mark.parametrize("size", [(45, 37), (16, 16), (9, 100), (1, 1), (300, 31)])
def test_two_matrix_products_resize_as_torch_does(size: tuple[int, int]) -> None:
    images = torch.rand(2, 3, *size, dtype=torch.float64) * 255
    expected = F.interpolate(images, size=(16, 16), mode="bilinear", antialias=True)
    torch.testing.assert_close(resize_by_matrices(images, 16), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"crop": 30},
        {"channels": 1},
        {"channels": 1, "value_range": [20, 200]},
        {"value_range": [[0, 255], [10, 20], [50, 60]]},
    ],
)
def test_images_are_those_of_training_up_to_the_rounding_of_float32(
    settings: dict[str, Any],
) -> None:
    domain = form(**settings)
    prepared = prepare_as(domain, NOISE)
    images = to_uint8(Preprocess(domain)(torch.from_numpy(NOISE))).numpy()
    assert images.shape == prepared.shape
    difference = np.abs(images.astype(int) - prepared)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.002


def test_grey_images_repeated_for_rgb_are_the_grey_images() -> None:
    domain = form(channels=1)
    grey = torch.from_numpy(NOISE[..., :1])
    assert torch.equal(Preprocess(domain)(grey.expand(-1, -1, -1, 3)), Preprocess(domain)(grey))


def test_grey_images_become_rgb() -> None:
    images = Preprocess(form())(torch.from_numpy(NOISE[..., :1]))
    assert images.shape == (3, 3, 16, 16)
    assert torch.equal(images[:, 0], images[:, 2])


def test_values_of_16_bits_become_the_range_of_8() -> None:
    stored = torch.full((1, 16, 16, 1), 65535, dtype=torch.int32)
    assert (Preprocess(form(channels=1))(stored, full=65535) == 1).all()


def test_a_value_between_two_bytes_is_rounded_up() -> None:
    pixels = torch.tensor([[[[1], [2]], [[1], [2]]]], dtype=torch.uint8).repeat(1, 16, 16, 1)
    images = Preprocess(form(channels=1))(pixels)
    assert (to_uint8(images)[..., 1:-1, 1:-1] == 2).all()


def test_bytes_are_rounded_and_clamped() -> None:
    images = torch.tensor([-1.5, -1.0, 0.0, 1.0, 1.5]).view(1, 1, 1, 5)
    assert to_uint8(images).flatten().tolist() == [0, 0, 128, 255, 255]
