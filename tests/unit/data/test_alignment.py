from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from adaptune.data.alignment import (
    align,
    aligned_concordance,
    aligned_correlation,
    no_alignment,
)


def textures(count: int, edge: int = 64) -> Tensor:
    coarse = torch.rand(count, 1, 7, 7, generator=torch.Generator().manual_seed(0)) * 255
    return F.interpolate(coarse, size=(edge, edge), mode="bicubic")


def crop_of(images: Tensor) -> Tensor:
    """Crop 3 of 64 px at the top and the right, and resize to the size before."""
    edge = images.shape[-1]
    return F.interpolate(images[:, :, 3:, :-3], size=(edge, edge), mode="bilinear")


def test_equal_images_agree_without_a_move() -> None:
    images = textures(3)
    parameters = align(images, images, no_alignment(3))
    torch.testing.assert_close(parameters, no_alignment(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(aligned_correlation(images, images, parameters), torch.ones(3))
    torch.testing.assert_close(aligned_concordance(images, images, parameters), torch.ones(3))


@pytest.mark.parametrize("is_crop_first", [True, False])
def test_a_crop_is_moved_onto_its_original(is_crop_first: bool) -> None:
    original = textures(5)
    first, second = original, crop_of(original)
    if is_crop_first:
        first, second = second, first
    unmoved = aligned_correlation(first, second, no_alignment(5))
    parameters = align(first, second, no_alignment(5))
    assert (unmoved < 0.95).all()
    assert (aligned_correlation(first, second, parameters) > 0.99).all()
    scale = 64 / 61 if is_crop_first else 61 / 64
    torch.testing.assert_close(parameters[:, 0], torch.full((5,), scale), atol=0.01, rtol=0)


def test_different_images_do_not_agree_after_alignment() -> None:
    first, second = textures(8).split(4)
    parameters = align(first, second, no_alignment(4))
    assert (aligned_correlation(first, second, parameters) < 0.8).all()


def test_concordance_heeds_brightness_and_contrast_and_correlation_does_not() -> None:
    images = textures(2)
    darker = images / 2
    parameters = no_alignment(2)
    torch.testing.assert_close(aligned_correlation(images, darker, parameters), torch.ones(2))
    variance = images.var(dim=(1, 2, 3), correction=0)
    mean = images.mean(dim=(1, 2, 3))
    # Lin (1989), equation 2: 2 s_12 / (s_1² + s_2² + (m_1 − m_2)²).
    expected = variance / (1.25 * variance + mean**2 / 4)
    torch.testing.assert_close(aligned_concordance(images, darker, parameters), expected)
