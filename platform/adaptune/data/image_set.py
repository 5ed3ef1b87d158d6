"""Images of a domain in the common form, in memory or on disk."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from adaptune.data.array_types import Images, Indices
from adaptune.data.identity import array_digests

Digests = npt.NDArray[np.uint8]
_BATCH = 512
_BATCH_BYTES = 64 * 1024**2  # of a batch of large images


class ImageSet(Protocol):
    """N images, uint8 (C, H, W), 0 to 255."""

    def __len__(self) -> int:
        """Return N."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of an image."""
        ...

    def take(self, indices: Indices) -> Images:
        """Return the images at `indices`: int64 (B,) → uint8 (B, C, H, W)."""
        ...

    def subset(self, indices: Indices) -> ImageSet:
        """Return the images at `indices`, int64 (B,), as a set."""
        ...

    def stored_digests(self) -> Digests:
        """Return the SHA-256 of each image as it is stored, before it is decoded: (N, 32)."""
        ...

    def pixel_digests(self) -> Digests:
        """Return the SHA-256 of the pixels of each image: (N, 32)."""
        ...


@dataclass(frozen=True)
class MemoryImages:
    """An `ImageSet` in memory.

    Attributes:
        pixels: uint8 (N, C, H, W).
        digests: SHA-256 of each image as it is stored, uint8 (N, 32).
    """

    pixels: Images
    digests: Digests

    def __len__(self) -> int:
        """Return N."""
        return len(self.pixels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of an image."""
        _, channels, height, width = self.pixels.shape
        return channels, height, width

    def take(self, indices: Indices) -> Images:
        """Return the images at `indices`: int64 (B,) → uint8 (B, C, H, W)."""
        return self.pixels[indices]

    def subset(self, indices: Indices) -> MemoryImages:
        """Return a copy of the images at `indices`, int64 (B,)."""
        return MemoryImages(self.pixels[indices], self.digests[indices])

    def stored_digests(self) -> Digests:
        """Return the SHA-256 of each image as it is stored: (N, 32)."""
        return self.digests

    def pixel_digests(self) -> Digests:
        """Return the SHA-256 of the pixels of each image: (N, 32)."""
        return digest_rows(array_digests(self.pixels))


def in_memory(pixels: Images) -> MemoryImages:
    """Return images that are stored as they are: uint8 (N, C, H, W)."""
    return MemoryImages(pixels, digest_rows(array_digests(pixels)))


def in_batches(images: ImageSet) -> Iterator[Images]:
    """Yield all images of a set in their order: uint8 (B, C, H, W)."""
    indices = np.arange(len(images))
    length = max(1, min(_BATCH, _BATCH_BYTES // math.prod(images.shape)))
    for start in range(0, len(images), length):
        yield images.take(indices[start : start + length])


def digest_rows(digests: list[bytes]) -> Digests:
    """Return N digests of 32 bytes as an array (N, 32)."""
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)
