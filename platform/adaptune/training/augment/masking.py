"""Images with random patches masked, as in MIC (Hoyer et al. 2023)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)


def draw_mask(count: int, generator: torch.Generator, *, share: float, grid: int) -> Tensor:
    """Draw which patches of N images are masked: bool (N, 1, grid, grid) on the CPU.

    Args:
        count: N.
        generator: random numbers on the CPU.
        share: probability that a patch is masked, in [0, 1).
        grid: patches along each edge of an image.
    """
    return torch.rand(count, 1, grid, grid, generator=generator) < share


def mask_patches(images: Tensor, is_masked: Tensor) -> Tensor:
    """Make patches of each image grey: (N, C, H, W) in [-1, 1], (N, 1, grid, grid) → (N, C, H, W).

    Args:
        is_masked: see `draw_mask`, on the device of the images.
    """
    # Patches of equal size up to a pixel, whatever the grid.
    mask = F.interpolate(is_masked.float(), size=images.shape[2:], mode="nearest")
    return images.masked_fill(mask > 0, 0.0)
