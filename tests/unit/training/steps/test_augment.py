from __future__ import annotations

import math

import torch

from adaptune.spec.training import AugmentSpec
from adaptune.training.steps.augment import apply_affine, sample_affine

IDENTITY = torch.eye(2, 3)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_zero_samples_nothing_and_leaves_the_images_alone() -> None:
    images = torch.randn(3, 1, 8, 8)
    maps = sample_affine(AugmentSpec(), 3, seeded())
    assert maps is None
    assert apply_affine(images, maps) is images


def test_identity_map_reproduces() -> None:
    images = torch.randn(3, 2, 16, 16)
    torch.testing.assert_close(
        apply_affine(images, IDENTITY.expand(3, 2, 3)), images, atol=1e-5, rtol=0
    )


def test_shift_by_whole_pixels_repeats_the_border() -> None:
    images = torch.randn(1, 1, 8, 8)
    shift = IDENTITY.clone()
    shift[0, 2] = 2 * 2 / 8  # 2 of 8 px, and the edge counts as 2
    moved = apply_affine(images, shift[None])
    torch.testing.assert_close(moved[..., :6], images[..., 2:], atol=1e-5, rtol=0)
    torch.testing.assert_close(
        moved[..., 6:], images[..., 7:].expand(1, 1, 8, 2), atol=1e-5, rtol=0
    )


def test_quarter_turn() -> None:
    images = torch.randn(1, 1, 8, 8)
    quarter = torch.tensor([[[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]])
    torch.testing.assert_close(
        apply_affine(images, quarter), torch.rot90(images, 1, (2, 3)), atol=1e-5, rtol=0
    )


def test_maps_stay_in_their_ranges_and_never_flip() -> None:
    maps = sample_affine(AugmentSpec(shift=0.1, rotate=15, scale=0.2), 2000, seeded())
    assert maps is not None
    assert maps.shape == (2000, 2, 3)
    scale = torch.linalg.det(maps[:, :, :2]).sqrt()
    angle = torch.atan2(maps[:, 1, 0], maps[:, 0, 0])
    for value, low, high in (
        (scale, 0.8, 1.2),
        (angle, -math.radians(15), math.radians(15)),
        (maps[:, :, 2], -0.2, 0.2),
    ):
        assert low - 1e-5 <= value.min() < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < value.max() <= high + 1e-5


def test_maps_come_from_the_given_generator_only() -> None:
    spec = AugmentSpec(shift=0.1)
    before = torch.get_rng_state()
    first = sample_affine(spec, 4, seeded())
    second = sample_affine(spec, 4, seeded())
    assert first is not None
    assert second is not None
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)
