from __future__ import annotations

import pytest
import torch
from support.augmentations import GREY_OPTIONS, OPTIONS, augmentation, photographs, seeded
from torch import Tensor

from adaptune.spec.augment import AugmentSpec
from adaptune.training.augment.images import (
    apply_augmentation,
    augment_images,
    sample_augmentation,
)

ZERO_STRENGTH = AugmentSpec.model_validate(
    {
        "shift": 0,
        "rotate": 0,
        "scale": 0,
        "crop": [1, 1],
        "aspect": [0.5, 2],
        "flip": 0,
        "flip_vertical": 0,
        "rotate_90": False,
        "jitter": {"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0},
        "grey": 0,
        "invert": 0,
        "blur": 0,
        "blur_sigma": [1, 2],
        "erase": 0,
        "erase_area": [0.2, 0.3],
        "policy": "rand",
        "policy_magnitude": 0,
    }
)


def changed_images(images: Tensor, name: str, seed: int = 0) -> Tensor:
    return augment_images(augmentation(name), images, seeded(seed))


@pytest.mark.parametrize("spec", [AugmentSpec(), ZERO_STRENGTH])
def test_zero_strength_returns_the_images_themselves(spec: AugmentSpec) -> None:
    images = photographs()
    assert augment_images(spec, images, seeded()) is images


def test_zero_strength_changes_no_bit_beside_another_option() -> None:
    images = photographs()
    erasing = {"erase": 1, "erase_area": [0.1, 0.1]}
    spec = AugmentSpec.model_validate(ZERO_STRENGTH.model_dump() | erasing)
    result = augment_images(spec, images, seeded())
    is_erased = (result != images).any(dim=1)
    assert 0.05 < is_erased.float().mean() < 0.15
    assert torch.equal(result, torch.where(is_erased[:, None], 0.0, images))


@pytest.mark.parametrize("name", list(OPTIONS))
def test_the_same_image_of_the_same_update_has_the_same_draw(name: str) -> None:
    images = photographs()
    before = torch.get_rng_state()
    first = changed_images(images, name)
    assert torch.equal(changed_images(images, name), first)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(first, images)
    assert not torch.equal(changed_images(images, name, seed=1), first)


@pytest.mark.parametrize("name", list(OPTIONS))
def test_images_of_a_batch_have_draws_of_their_own(name: str) -> None:
    images = photographs(1).expand(16, -1, -1, -1)
    results = {tuple(image.flatten().tolist()) for image in changed_images(images, name)}
    assert len(results) > 1


@pytest.mark.parametrize("name", list(OPTIONS))
@pytest.mark.parametrize("workers", [2, 4])
def test_the_parts_of_several_workers_are_the_batch_of_one(name: str, workers: int) -> None:
    images = photographs()
    whole = changed_images(images, name)
    sample = sample_augmentation(augmentation(name), 3, len(images), seeded())
    share = len(images) // workers
    for first in range(0, len(images), share):
        part = apply_augmentation(images[first : first + share], sample.rows(first, share))
        assert torch.equal(part, whole[first : first + share])


@pytest.mark.parametrize("name", list(OPTIONS))
def test_an_image_keeps_its_row_and_so_its_label(name: str) -> None:
    images = photographs()
    expected = changed_images(images, name)
    for row in range(len(images)):
        others = torch.rand_like(images) * 2 - 1
        others[row] = images[row]
        result = changed_images(others, name)
        assert torch.equal(result[row], expected[row])


@pytest.mark.parametrize("name", list(OPTIONS))
def test_values_stay_in_their_range(name: str) -> None:
    result = changed_images(photographs(32), name)
    assert result.isfinite().all()
    assert result.abs().max() <= 1 + 1e-5


@pytest.mark.parametrize("size", [32, 256])
@pytest.mark.parametrize("name", list(OPTIONS))
def test_autocast_to_bf16_changes_nothing_but_rounding(name: str, size: int) -> None:
    images = photographs(4, size)
    expected = changed_images(images, name)
    with torch.autocast("cpu", torch.bfloat16):
        result = changed_images(images, name)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [32, 256])
@pytest.mark.parametrize("name", list(OPTIONS))
def test_bf16_images_are_rounded_once(name: str, size: int) -> None:
    images = photographs(4, size).bfloat16()
    expected = changed_images(images.float(), name)
    with torch.autocast("cpu", torch.bfloat16):
        result = changed_images(images, name)
    assert result.dtype == torch.bfloat16
    torch.testing.assert_close(result, expected.bfloat16(), rtol=0.01, atol=1e-5)


@pytest.mark.parametrize("name", list(GREY_OPTIONS))
def test_images_of_one_channel_can_be_changed(name: str) -> None:
    images = photographs(channels=1)
    assert not torch.equal(changed_images(images, name), images)


def test_an_option_does_not_change_the_draws_of_the_others() -> None:
    spec = AugmentSpec(shift=0.1, rotate=10, scale=0.1, blur=0.5, erase=0.5)
    alone = sample_augmentation(AugmentSpec(shift=0.1, rotate=10, scale=0.1), 3, 8, seeded())
    sample = sample_augmentation(spec, 3, 8, seeded())
    with_policy = spec.model_copy(update={"policy": "rand"})
    assert alone.maps is not None
    assert sample.maps is not None
    assert torch.equal(sample.maps, alone.maps)
    others = sample_augmentation(with_policy, 3, 8, seeded())
    assert sample.boxes is not None
    assert others.boxes is not None
    assert torch.equal(others.boxes, sample.boxes)
