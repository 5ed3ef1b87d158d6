"""The image pool of Shrivastava et al. 2017, as CycleGAN uses it (Zhu et al. 2017, section 4)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from adaptune.data.transfer import to_device_at_once


class Exchange(NamedTuple):
    """The images that a query of N images takes from a pool and leaves in it.

    Its shapes depend on N and the size of the pool only, so that a device never waits for them.
    Indices from N on stand for what the pool held before, in the order of `places`.

    Attributes:
        places: places of the pool that the query may change, int64 (M,) with M = min(N, size).
        taken: index of each image of the result, int64 (N,).
        left: index of each image that is then in `places`, int64 (M,).
    """

    places: Tensor
    taken: Tensor
    left: Tensor


class ImagePool:
    """A history of translated images, so that a discriminator sees more than the newest ones.

    Until the pool is full, images pass through it and are kept. Then each image is swapped, with
    probability ½, for a random image of the pool.

    Args:
        size: number of images that the pool keeps; 0 switches it off.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._count = 0
        self._stored: Tensor | None = None  # (size, C, H, W), changed in place

    @property
    def images(self) -> Tensor | None:
        """The images in the pool, (P, C, H, W) with P ≤ size, or None before the first query."""
        return None if self._stored is None else self._stored[: self._count]

    def query(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Exchange images with the pool: (N, C, H, W) → (N, C, H, W), without gradient.

        Args:
            generator: random numbers on the CPU.
        """
        if self.size == 0:
            return images.detach()
        exchange = self.draw(len(images), generator)
        return self.exchange(images, to_device_at_once(exchange, images.device))

    def draw(self, count: int, generator: torch.Generator) -> Exchange:
        """Draw the exchange of the coming query, on the CPU; the pool does not change.

        Args:
            count: N.
            generator: random numbers on the CPU.
        """
        room = min(self.size - self._count, count)
        swap = (torch.rand(count, generator=generator) < 0.5).tolist()
        slots = torch.randperm(self.size, generator=generator).tolist()
        holds = {self._count + index: index for index in range(room)}  # new images by their place
        swapped = [index for index in range(room, count) if swap[index]]
        taken = list(range(count))
        places = [*holds, *(place for place in slots if place not in holds)][
            : min(count, self.size)
        ]
        rows = {place: count + row for row, place in enumerate(places)}
        for turn, index in enumerate(swapped):
            # A slot may be used again only after all of them.
            place = slots[turn % self.size]
            taken[index] = holds[place] if place in holds else rows[place]
            holds[place] = index
        left = [holds.get(place, rows[place]) for place in places]
        return Exchange(torch.tensor(places), torch.tensor(taken), torch.tensor(left))

    def exchange(self, images: Tensor, exchange: Exchange) -> Tensor:
        """Exchange images with the pool as it was drawn: (N, C, H, W) → the same shape.

        Args:
            exchange: the exchange, on the device of the images.
        """
        images = images.detach()
        if self._stored is None:
            self._stored = images.new_zeros((self.size, *images.shape[1:]))
        stored = self._stored
        known = torch.cat([images, stored[exchange.places]])
        stored.index_copy_(0, exchange.places, known[exchange.left].to(stored.dtype))
        self._count = min(self.size, self._count + len(images))
        return known[exchange.taken].to(images.dtype)

    def cpu_images(self) -> Tensor | None:
        """Return the images in the pool, (P, C, H, W) on the CPU."""
        return None if self.images is None else self.images.to("cpu", copy=True)

    def load(self, images: Tensor | None, device: torch.device) -> None:
        """Replace the images in the pool: (P, C, H, W) or None, moved to `device`."""
        self._stored = None
        self._count = 0
        if images is not None:
            self._count = len(images)
            self._stored = torch.zeros(
                (self.size, *images.shape[1:]), dtype=images.dtype, device=device
            )
            self._stored[: self._count] = images.to(device)
