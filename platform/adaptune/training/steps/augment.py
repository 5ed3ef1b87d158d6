"""Random affine changes of the images that a classifier sees."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from adaptune.spec.training import AugmentSpec


def draw(spec: AugmentSpec, count: int, generator: torch.Generator) -> Tensor | None:
    """`count` random affine maps, (count, 2, 3) on the CPU, or None where nothing is to be changed.

    Drawn apart from their use, so that each worker can take its share of one global draw.
    """
    if not (spec.shift or spec.rotate or spec.scale):
        return None
    angle, scale, dx, dy = 2 * torch.rand(4, count, generator=generator) - 1
    angle = angle * math.radians(spec.rotate)
    scale = 1 + scale * spec.scale
    cos, sin = angle.cos() * scale, angle.sin() * scale
    # affine_grid counts the edge of an image as 2.
    rows = [
        torch.stack([cos, -sin, 2 * spec.shift * dx], 1),
        torch.stack([sin, cos, 2 * spec.shift * dy], 1),
    ]
    return torch.stack(rows, dim=1)


def apply(images: Tensor, maps: Tensor | None) -> Tensor:
    """(N, C, H, W) images, each moved by its (2, 3) map; what comes in from outside repeats the border."""
    if maps is None:
        return images
    grid = F.affine_grid(
        maps.to(images.device, images.dtype), list(images.shape), align_corners=False
    )
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
