from __future__ import annotations

from typing import Any

import pytest
import torch
from support.augmentations import photographs, seeded
from torch import Tensor
from torchvision.transforms.v2 import functional as torchvision

from adaptune.spec.augment import AugmentSpec
from adaptune.training.augment.draws import draw
from adaptune.training.augment.filters import blur, blur_radius, blur_sigmas, erase, erase_boxes


def sigmas_of(count: int, **options: Any) -> Tensor:
    spec = AugmentSpec.model_validate(options)
    sigmas = blur_sigmas(spec, draw(spec, count, seeded()))
    assert sigmas is not None
    return sigmas


def boxes_of(count: int, **options: Any) -> Tensor:
    spec = AugmentSpec.model_validate(options)
    boxes = erase_boxes(spec, draw(spec, count, seeded()))
    assert boxes is not None
    return boxes


@pytest.mark.parametrize("channels", [1, 3])
def test_a_blur_is_the_gaussian_blur_of_torchvision(channels: int) -> None:
    images = photographs(4, channels=channels)
    sigmas = torch.tensor([0.3, 0.9, 1.4, 2.0])
    result = blur(images, sigmas, radius=6)
    for image, sigma, blurred in zip(images, sigmas, result, strict=True):
        expected = torchvision.gaussian_blur(image, [13, 13], [float(sigma), float(sigma)])
        torch.testing.assert_close(blurred, expected, rtol=0, atol=1e-5)


def test_sharp_images_of_a_blurred_batch_keep_every_bit() -> None:
    images = photographs(3)
    result = blur(images, torch.tensor([0.0, 1.0, 0.0]), radius=3)
    assert torch.equal(result[::2], images[::2])
    assert not torch.equal(result[1], images[1])


def test_the_radius_is_three_sigmas_and_no_more_than_an_image_can_reflect() -> None:
    assert blur_radius(AugmentSpec(blur=1, blur_sigma=(0.1, 1.5))) == 5
    images = torch.full((1, 1, 8, 8), 0.5)
    result = blur(images, torch.tensor([9.0]), radius=27)
    torch.testing.assert_close(result, images)


def test_standard_deviations_fill_their_range_and_half_of_the_images_stay_sharp() -> None:
    sigmas = sigmas_of(2000, blur=0.5, blur_sigma=[0.5, 1.5])
    is_blurred = sigmas > 0
    assert 0.45 < is_blurred.float().mean() < 0.55
    assert 0.5 <= sigmas[is_blurred].min() < 0.51
    assert 1.49 < sigmas.max() <= 1.5


def test_a_rectangle_becomes_grey_as_in_torchvision() -> None:
    images = photographs(2, 16)
    boxes = torch.tensor([[0.25, 0.5, 0.75, 1.0], [0.0, 0.0, 0.0, 0.0]])
    result = erase(images, boxes)
    expected = torchvision.erase(images[0], 8, 4, 8, 8, torch.zeros(1))
    assert torch.equal(result[0], expected)
    assert torch.equal(result[1], images[1])


def test_rectangles_are_inside_the_image_and_have_the_areas_of_the_spec() -> None:
    boxes = boxes_of(2000, erase=0.5, erase_area=[0.1, 0.2])
    left, top, right, bottom = boxes.unbind(dim=1)
    assert boxes.min() >= 0
    assert boxes.max() <= 1 + 1e-6
    area = (right - left) * (bottom - top)
    is_erased = area > 0
    assert 0.45 < is_erased.float().mean() < 0.55
    assert 0.1 - 1e-5 <= area[is_erased].min() < 0.102
    assert 0.198 < area.max() <= 0.2 + 1e-5


@pytest.mark.parametrize("sample", [blur_sigmas, erase_boxes])
def test_without_the_option_there_are_no_parameters(sample: Any) -> None:
    spec = AugmentSpec(flip=0.5)
    assert sample(spec, draw(spec, 3, seeded())) is None
