"""Random affine changes of the images that a classifier is trained on."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from adaptune.spec.training import AugmentSpec


def sample_affine(spec: AugmentSpec, count: int, generator: torch.Generator) -> Tensor | None:
    """Sample N random affine maps: float32 (N, 2, 3) on the CPU, or None if nothing is to change.

    Sampling is separate from use, so that each worker can take its part of one global sample.

    Args:
        count: N.
        generator: random numbers on the CPU.
    """
    if not (spec.shift or spec.rotate or spec.scale):
        return None
    angle, scale, shift_x, shift_y = 2 * torch.rand(4, count, generator=generator) - 1
    angle = angle * math.radians(spec.rotate)
    scale = 1 + scale * spec.scale
    cos = angle.cos() * scale
    sin = angle.sin() * scale
    # affine_grid counts the edge of an image as 2.
    first_row = torch.stack([cos, -sin, 2 * spec.shift * shift_x], 1)
    second_row = torch.stack([sin, cos, 2 * spec.shift * shift_y], 1)
    return torch.stack([first_row, second_row], dim=1)


def apply_affine(images: Tensor, maps: Tensor | None) -> Tensor:
    """Transform each image by its map: (N, C, H, W), (N, 2, 3) → (N, C, H, W).

    Pixels from outside an image repeat its border. Without maps, the images stay as they are.
    """
    if maps is None:
        return images
    maps = maps.to(images.device, images.dtype)
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
