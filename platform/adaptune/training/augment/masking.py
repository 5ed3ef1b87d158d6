"""Images with random patches masked, as in MIC (Hoyer et al. 2023)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from adaptune.data.transfer import to_device


def mask_patches(
    images: Tensor,
    generator: torch.Generator,
    *,
    share: float,
    grid: int,
    first: int = 0,
    batch_size: int | None = None,
) -> Tensor:
    """Make random patches of each image grey: (N, C, H, W) in [-1, 1] → the same shape.

    Each patch is masked with the probability `share`. The result depends on the generator and on
    the place of an image in the whole batch. With a share of 0, the images are returned as they
    are.

    Args:
        generator: random numbers on the CPU.
        share: probability in [0, 1).
        grid: patches along each edge of an image.
        first: place of the first image in the whole batch.
        batch_size: images in the whole batch; N by default.
    """
    if share == 0:
        return images
    count = len(images) if batch_size is None else batch_size
    draws = torch.rand(count, 1, grid, grid, generator=generator)
    is_masked = draws[first : first + len(images)] < share
    # Patches of equal size up to a pixel, whatever the grid.
    mask = F.interpolate(is_masked.float(), size=images.shape[2:], mode="nearest")
    return images.masked_fill(to_device(mask, images.device) > 0, 0.0)
