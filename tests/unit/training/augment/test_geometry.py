from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from support.augmentations import photographs, seeded
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as torchvision

from adaptune.spec.augment import AugmentSpec
from adaptune.training.augment.draws import draw
from adaptune.training.augment.geometry import affine_maps, apply_affine, window_sizes

IDENTITY = torch.eye(2, 3)


def maps_of(count: int, **options: Any) -> Tensor:
    spec = AugmentSpec.model_validate(options)
    maps = affine_maps(spec, draw(spec, count, seeded()), None)
    assert maps is not None
    return maps


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=2e-5, rtol=0)


def test_without_geometry_there_is_no_map() -> None:
    spec = AugmentSpec(blur=1)
    assert affine_maps(spec, draw(spec, 3, seeded()), None) is None


def test_the_identity_map_reproduces() -> None:
    images = photographs(3, 16)
    assert_close(apply_affine(images, IDENTITY.expand(3, 2, 3)), images)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (17, 40)])
def test_images_are_those_of_affine_grid(height: int, width: int) -> None:
    images = torch.randn(8, 3, height, width, generator=seeded())
    maps = maps_of(8, shift=0.05, rotate=10, scale=0.1)
    grid = F.affine_grid(maps, [8, 3, height, width], align_corners=False)
    expected = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    assert_close(apply_affine(images, maps), expected)


@pytest.mark.parametrize("size", [32, 256])
def test_places_are_exact_under_autocast_to_bf16(size: int) -> None:
    columns = torch.arange(size, dtype=torch.float32).expand(size, size)
    places = torch.stack([columns, columns.T]).expand(16, 2, size, size)  # in px
    maps = maps_of(16, shift=0.05, rotate=10, scale=0.1)
    grid = F.affine_grid(maps.double(), [16, 2, size, size], align_corners=False)
    expected = F.grid_sample(places.double(), grid, padding_mode="border", align_corners=False)
    with torch.autocast("cpu", torch.bfloat16):
        result = apply_affine(places, maps)
    assert (result - expected).abs().max() < 1e-3


def test_a_shift_by_whole_pixels_repeats_the_border() -> None:
    images = torch.randn(1, 1, 8, 8)
    shift = IDENTITY.clone()
    shift[0, 2] = 2 * 2 / 8  # 2 of 8 px, and the edge counts as 2
    moved = apply_affine(images, shift[None])
    assert_close(moved[..., :6], images[..., 2:])
    assert_close(moved[..., 6:], images[..., 7:].expand(1, 1, 8, 2))


def test_shift_rotate_and_scale_stay_in_their_ranges_and_never_flip() -> None:
    maps = maps_of(2000, shift=0.1, rotate=15, scale=0.2)
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


@pytest.mark.parametrize(
    ("option", "flip"),
    [("flip", torchvision.horizontal_flip), ("flip_vertical", torchvision.vertical_flip)],
)
def test_flips_are_those_of_torchvision(option: str, flip: Any) -> None:
    images = photographs(3)
    assert_close(apply_affine(images, maps_of(3, **{option: 1})), flip(images))


def test_half_of_the_images_are_flipped_at_probability_one_half() -> None:
    maps = maps_of(2000, flip=0.5)
    is_flipped = maps[:, 0, 0] < 0
    assert 0.45 < is_flipped.float().mean() < 0.55
    assert torch.equal(maps[~is_flipped], IDENTITY.expand(int((~is_flipped).sum()), 2, 3))


def test_quarter_turns_are_those_of_rot90_and_equally_frequent() -> None:
    images = photographs(64, 16)
    turned = apply_affine(images, maps_of(64, rotate_90=True))
    counts = []
    for turns in range(4):
        difference = (turned - torch.rot90(images, turns, (2, 3))).abs().amax(dim=(1, 2, 3))
        counts.append(int((difference < 1e-4).sum()))
    assert sum(counts) == 64
    assert min(counts) >= 6


def test_a_crop_is_the_resized_crop_of_torchvision() -> None:
    size = 32
    images = photographs(6, size)
    maps = maps_of(6, crop=[0.3, 0.7])
    cropped = apply_affine(images, maps)
    for image, result, window in zip(images, cropped, maps, strict=True):
        # Enlarged eightfold, the window begins at a whole pixel within 1/16 px.
        fine = torchvision.resize(image, [size * 8, size * 8], antialias=False)
        width = round(float(window[0, 0]) * size * 8)
        height = round(float(window[1, 1]) * size * 8)
        left = round(float(window[0, 2] + 1 - window[0, 0]) / 2 * size * 8)
        top = round(float(window[1, 2] + 1 - window[1, 1]) / 2 * size * 8)
        expected = torchvision.resized_crop(
            fine, top, left, height, width, [size, size], InterpolationMode.BILINEAR, False
        )
        assert (result - expected).abs()[:, 1:-1, 1:-1].max() < 0.06


def test_windows_are_inside_the_image_and_have_the_areas_and_aspects_of_the_spec() -> None:
    maps = maps_of(3000, crop=[0.2, 0.5], aspect=[0.5, 2])
    width = maps[:, 0, 0]
    height = maps[:, 1, 1]
    assert (maps[:, 0, 2].abs() + width).max() <= 1 + 1e-6
    assert (maps[:, 1, 2].abs() + height).max() <= 1 + 1e-6
    area = width * height
    aspect = width / height
    assert 0.2 - 1e-5 <= area.min() < 0.21
    assert 0.49 < area.max() <= 0.5 + 1e-5
    assert 0.5 - 1e-5 <= aspect.min() < 0.51
    assert 1.96 < aspect.max() <= 2 + 1e-5
    assert abs(float(aspect.log().mean())) < 0.03  # as often wide as high


def test_a_window_that_does_not_fit_is_cut_to_the_image() -> None:
    width, height = window_sizes((1, 1), (4, 4), torch.zeros(1), torch.zeros(1))
    assert width.item() == 1
    assert height.item() == pytest.approx(0.5)


def test_an_image_is_cropped_first_and_turned_and_shifted_then() -> None:
    options = {"crop": [0.4, 0.4], "rotate_90": True, "shift": 0.2, "rotate": 20}
    images = photographs(4, 128)
    at_once = apply_affine(images, maps_of(4, **options))
    steps = apply_affine(images, maps_of(4, crop=[0.4, 0.4]))
    # Later draws depend on no option, so each step can be made by itself.
    steps = apply_affine(steps, maps_of(4, rotate_90=True))
    steps = apply_affine(steps, maps_of(4, shift=0.2, rotate=20))
    centre = slice(50, 78)  # far from the borders, which steps repeat
    difference = (at_once - steps).abs()[:, :, centre, centre]
    assert difference.max() < 0.03
