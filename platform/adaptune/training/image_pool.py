"""The image pool of Shrivastava et al. 2017, as CycleGAN uses it."""

from __future__ import annotations

import torch
from torch import Tensor


class ImagePool:
    """A history of translated images, so that a discriminator does not chase the newest ones only.

    Until `size` images are in, what comes goes through (and is kept). Then each image is, with
    probability ½, swapped for a random kept one. `size` 0 switches the pool off.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: Tensor | None = None

    def query(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """(N, C, H, W) → as many, without gradient. `generator` is on the CPU."""
        images = images.detach()
        if self.size == 0:
            return images
        kept = images[:0] if self.images is None else self.images
        room = min(self.size - len(kept), len(images))
        kept = torch.cat([kept, images[:room]])
        result = images.clone()
        swap = torch.rand(len(images), generator=generator) < 0.5
        slots = torch.randperm(self.size, generator=generator)
        for turn, place in enumerate(index for index in range(room, len(images)) if swap[index]):
            slot = int(slots[turn % self.size])
            result[place] = kept[slot]
            kept[slot] = images[place]
        self.images = kept
        return result
