from __future__ import annotations

import pytest
import torch
from torch import Tensor

from adaptune.training.augment.masking import draw_mask, mask_patches

SHARE = 0.4


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def masked(images: Tensor, grid: int = 4) -> Tensor:
    return mask_patches(images, draw_mask(len(images), seeded(), share=SHARE, grid=grid))


def test_a_patch_is_masked_as_a_whole_and_in_all_channels() -> None:
    result = masked(torch.ones(8, 3, 16, 16))
    patches = result.unfold(2, 4, 4).unfold(3, 4, 4)  # (N, C, 4, 4, 4, 4)
    means = patches.mean(dim=(1, 4, 5))
    assert set(means.unique().tolist()) == {0.0, 1.0}


def test_about_the_given_share_of_the_patches_becomes_grey() -> None:
    result = masked(torch.ones(500, 1, 8, 8))
    assert (result == 0).float().mean().item() == pytest.approx(SHARE, abs=0.02)


def test_what_is_not_masked_stays_and_images_differ() -> None:
    images = torch.rand(6, 1, 8, 8, generator=seeded()) + 1
    result = masked(images)
    assert torch.equal(result[result != 0], images[result != 0])
    assert not torch.equal(result[0] == 0, result[1] == 0)


def test_a_grid_that_does_not_divide_the_image_covers_it() -> None:
    result = mask_patches(torch.ones(200, 1, 10, 10), draw_mask(200, seeded(), share=0.9, grid=3))
    assert (result == 0).any(dim=0).all()
    fine = mask_patches(torch.ones(1, 1, 4, 4), draw_mask(1, seeded(), share=SHARE, grid=9))
    assert fine.shape == (1, 1, 4, 4)


def test_a_part_of_a_batch_has_its_part_of_the_masks() -> None:
    images = torch.ones(6, 1, 8, 8)
    whole = masked(images)
    of_batch = draw_mask(6, seeded(), share=SHARE, grid=4)
    part = mask_patches(images[:2], of_batch[4:])
    assert torch.equal(part, whole[4:])
