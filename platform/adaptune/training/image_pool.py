"""The image pool of Shrivastava et al. 2017, as CycleGAN uses it (Zhu et al. 2017, section 4)."""

from __future__ import annotations

import torch
from torch import Tensor


class ImagePool:
    """A history of translated images, so that a discriminator sees more than the newest ones.

    Until the pool is full, images pass through it and are kept. Then each image is swapped, with
    probability ½, for a random image of the pool.

    Args:
        size: number of images that the pool keeps; 0 switches it off.

    Attributes:
        images: the images in the pool, (P, C, H, W) with P ≤ size, or None before the first query.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: Tensor | None = None

    def query(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Exchange images with the pool: (N, C, H, W) → (N, C, H, W), without gradient.

        Args:
            generator: random numbers on the CPU.
        """
        images = images.detach()
        if self.size == 0:
            return images
        pool = images[:0] if self.images is None else self.images
        room = min(self.size - len(pool), len(images))
        if room:
            pool = torch.cat([pool, images[:room]])
        result = images.clone()
        swap = torch.rand(len(images), generator=generator) < 0.5
        slots = torch.randperm(self.size, generator=generator)
        swapped = [index for index in range(room, len(images)) if swap[index]]
        # A slot may be used again only after all of them.
        for start in range(0, len(swapped), self.size):
            indices = torch.tensor(swapped[start : start + self.size], device=images.device)
            places = slots[: len(indices)].to(images.device)
            result[indices] = pool[places].to(images.dtype)
            pool[places] = images[indices].to(pool.dtype)
        self.images = pool
        return result

    def cpu_images(self) -> Tensor | None:
        """Return the images in the pool, (P, C, H, W) on the CPU."""
        return None if self.images is None else self.images.to("cpu", copy=True)

    def load(self, images: Tensor | None, device: torch.device) -> None:
        """Replace the images in the pool: (P, C, H, W) or None, moved to `device`."""
        self.images = None if images is None else images.to(device, copy=True)
