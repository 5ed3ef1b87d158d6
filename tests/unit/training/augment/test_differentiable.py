from __future__ import annotations

import pytest
import torch
from support.augmentations import photographs, seeded
from torch import Tensor

from adaptune.spec.discriminator_augment import DiscriminatorAugmentSpec
from adaptune.training.augment.differentiable import change_images, draw_changes

OPTIONS = {"brightness": 0.5, "saturation": 1.0, "contrast": 0.5, "shift": 0.125, "cutout": 0.5}
BRIGHTNESS, SATURATION, CONTRAST, SHIFT_X, SHIFT_Y, CUTOUT_X, CUTOUT_Y = range(7)


def spec(**options: float) -> DiscriminatorAugmentSpec:
    return DiscriminatorAugmentSpec.model_validate(options)


def draws(values: dict[int, float], count: int = 1) -> Tensor:
    """Draws of 0.5, which change nothing but a cutout, except for these."""
    rows = torch.full((count, 7), 0.5)
    for column, value in values.items():
        rows[:, column] = value
    return rows


def image(size: int = 8) -> Tensor:
    return photographs(1, size)


def test_draws_are_uniform_and_one_row_per_image() -> None:
    rows = draw_changes(1000, seeded())
    assert rows.shape == (1000, 7)
    assert rows.min() >= 0
    assert rows.max() < 1
    assert (rows.mean(dim=0) - 0.5).abs().max() < 0.05


def test_brightness_is_added_without_clamping() -> None:
    bright = torch.ones(1, 1, 4, 4)
    changed = change_images(spec(brightness=0.5), bright, draws({BRIGHTNESS: 0.75}))
    assert torch.equal(changed, bright + 0.25)


def test_contrast_is_multiplied_around_the_mean_of_an_image() -> None:
    original = image()
    changed = change_images(spec(contrast=0.5), original, draws({CONTRAST: 0.0}))
    mean = original.mean()
    torch.testing.assert_close(changed, mean + 0.5 * (original - mean))


def test_saturation_is_multiplied_around_the_grey_of_a_pixel() -> None:
    original = image()
    grey = original.mean(dim=1, keepdim=True)
    changed = change_images(spec(saturation=1.0), original, draws({SATURATION: 0.0}))
    torch.testing.assert_close(changed, grey.expand_as(original))
    unchanged = change_images(spec(saturation=1.0), original, draws({}))
    torch.testing.assert_close(unchanged, original)


def test_a_shift_is_by_whole_pixels_and_fills_with_grey() -> None:
    original = image()
    rows = draws({SHIFT_X: 0.999, SHIFT_Y: 0.0})
    changed = change_images(spec(shift=0.25), original, rows)
    # Two pixels to the right, and two up.
    assert torch.equal(changed[:, :, :-2, 2:], original[:, :, 2:, :-2])
    assert not changed[:, :, :, :2].any()
    assert not changed[:, :, -2:].any()


def test_all_shifts_are_equally_likely() -> None:
    count = 5000
    marked = torch.zeros(count, 1, 1, 8)
    marked[..., 4] = 1
    changed = change_images(spec(shift=0.25), marked, draw_changes(count, seeded()))
    places = changed.flatten(1).argmax(dim=1).bincount(minlength=8)[2:7]
    assert places.sum() == count
    assert (places / count - 0.2).abs().max() < 0.03


def test_a_cutout_makes_a_square_grey_which_the_border_may_cut() -> None:
    original = torch.ones(1, 1, 8, 8)
    central = change_images(spec(cutout=0.5), original, draws({}))
    expected = torch.ones(8, 8)
    expected[2:6, 2:6] = 0
    assert torch.equal(central[0, 0], expected)
    corner = change_images(spec(cutout=0.5), original, draws({CUTOUT_X: 0.0, CUTOUT_Y: 0.0}))
    assert not corner[0, 0, :2, :2].any()
    assert corner.sum() == 60


@pytest.mark.parametrize("options", [{name: value} for name, value in OPTIONS.items()] + [OPTIONS])
def test_the_gradient_is_that_of_the_change(options: dict[str, float]) -> None:
    """All changes are affine, so that a difference of images is changed by the gradient exactly."""
    rows = draw_changes(6, seeded(1))
    original = photographs(6, 8).requires_grad_()
    weights = torch.randn(original.shape, generator=seeded(2))
    difference = torch.randn(original.shape, generator=seeded(3))
    changed = change_images(spec(**options), original, rows)
    (slope,) = torch.autograd.grad((weights * changed).sum(), original)
    moved = change_images(spec(**options), original + difference, rows)
    expected = (weights * (moved - changed)).sum()
    torch.testing.assert_close((slope * difference).sum(), expected.detach(), rtol=1e-4, atol=1e-3)
    assert all(gradient.any() for gradient in slope)


def test_saturated_pixels_keep_their_gradient() -> None:
    white = torch.ones(2, 3, 4, 4, requires_grad=True)
    options = spec(brightness=0.5, contrast=0.5, saturation=1)
    changed = change_images(options, white, draw_changes(2, seeded()))
    (slope,) = torch.autograd.grad(changed.square().sum(), white)
    assert (slope != 0).all()


def test_the_numbers_of_an_image_do_not_depend_on_the_others() -> None:
    originals = photographs(8, 16)
    rows = draw_changes(8, seeded())
    whole = change_images(spec(**OPTIONS), originals, rows)
    for index in range(8):
        part = slice(index, index + 1)
        alone = change_images(spec(**OPTIONS), originals[part], rows[part])
        torch.testing.assert_close(alone, whole[part], rtol=0, atol=1e-6)


def test_bf16_images_are_changed_in_float32_and_keep_their_type() -> None:
    originals = photographs(4, 16).bfloat16()
    rows = draw_changes(4, seeded())
    with torch.autocast("cpu", torch.bfloat16):
        changed = change_images(spec(**OPTIONS), originals, rows)
    exact = change_images(spec(**OPTIONS), originals.float(), rows)
    assert torch.equal(changed, exact.bfloat16())
