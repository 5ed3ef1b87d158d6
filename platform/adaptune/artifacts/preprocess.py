"""Preprocessing of images for the exported networks, as a module that torch.export can trace."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from adaptune.data.array_types import Pixels
from adaptune.data.preprocessing import LUMA, check_form, same_size_batches
from adaptune.spec.data import DomainSpec

_GREY = 1
_RGB = 3
# A value halfway between two bytes is common, for example at three quarters of the size. The error
# of float64 may put it on either side, but never as far away as this.
_ROUND_UP = 0.5 + 1e-7


class Preprocess(nn.Module):
    """The preprocessing of a domain: bytes of images → what its networks take.

    It has the steps of `adaptune.data.preprocessing`, but computes in float64. Its results
    therefore depend neither on the program that runs it nor on the order of the operations.

    Args:
        domain: the form of the images.
    """

    def __init__(self, domain: DomainSpec) -> None:
        super().__init__()
        self.crop = domain.crop
        self.size = domain.size
        self.channels = domain.channels
        self.intervals = domain.intervals

    def forward(self, images: Tensor, full: int = 255) -> Tensor:
        """Bring images to the form of the domain.

        Args:
            images: integers (N, H, W, C), all of one size.
            full: the highest value that their type can store.

        Returns:
            float32 (N, C, S, S) in [-1, 1].
        """
        pixels = images.permute(0, 3, 1, 2)
        if self.crop is not None:
            pixels = _crop_centre(pixels, self.crop)
        pixels = self._scale(self._to_channels(pixels.to(torch.float64)), full)
        if torch.compiler.is_exporting():
            pixels = resize_by_matrices(pixels, self.size)
        else:  # much faster for large images, and the same up to the error of float64
            pixels = F.interpolate(
                pixels, size=(self.size, self.size), mode="bilinear", antialias=True
            )
        levels = torch.floor(pixels + _ROUND_UP).clamp(0, 255).to(torch.float32)
        return (levels / 127.5 - 1).expand(-1, self.channels, -1, -1)

    def _to_channels(self, pixels: Tensor) -> Tensor:
        """Convert RGB to grey, and grey to RGB if the ranges of its channels differ."""
        if self.channels == _GREY and pixels.shape[1] == _RGB:
            luma = torch.tensor(LUMA, dtype=torch.float64)
            return (pixels * luma.view(1, _RGB, 1, 1)).sum(dim=1, keepdim=True)
        if self.intervals is not None and len(self.intervals) > 1:
            return pixels.expand(-1, self.channels, -1, -1)
        return pixels

    def _scale(self, pixels: Tensor, full: int) -> Tensor:
        """Return stored values as 0 to 255."""
        if self.intervals is None:
            return pixels * (255 / full)
        bounds = torch.tensor(self.intervals, dtype=torch.float64)
        low, high = bounds.view(-1, 2, 1, 1).unbind(dim=1)
        low, high = low.unsqueeze(0), high.unsqueeze(0)
        return ((pixels - low) * (255 / (high - low))).clamp(0, 255)


def preprocess_arrays(domain: DomainSpec, images: Pixels | Iterable[Pixels]) -> Tensor:
    """Preprocess images like those of a domain.

    Args:
        images: HW or HWC, uint8 or uint16; one array [N, …], or images of any sizes.

    Returns:
        float32 (N, C, S, S) in [-1, 1].

    Raises:
        DataError: an image is smaller than the domain's crop, or has another shape or type.
    """
    preprocess = Preprocess(domain)
    prepared = []
    for batch in same_size_batches(images):
        pixels = batch if batch.ndim == 4 else batch[..., None]
        check_form(pixels, domain.channels, domain.crop)
        prepared.append(preprocess(to_tensor(pixels), np.iinfo(pixels.dtype).max))
    return torch.cat(prepared)


def to_tensor(pixels: Pixels) -> Tensor:
    """Return pixels of 8 or 16 bits as a tensor of the same shape."""
    # torch has few operations on uint16.
    return torch.tensor(pixels if pixels.dtype == np.uint8 else pixels.astype(np.int32))


def resize_by_matrices(pixels: Tensor, size: int) -> Tensor:
    """Resize images as bilinear interpolation with antialiasing does, by two matrix products.

    Other programs than torch lack its antialiasing, or compute it in other ways. These products
    are the same everywhere.

    Args:
        pixels: float64 (N, C, H, W).
        size: S.

    Returns:
        float64 (N, C, S, S).
    """
    height, width = pixels.shape[2:]
    rows = torch.matmul(pixels, _resize_matrix(width, size).T)
    return torch.matmul(_resize_matrix(height, size), rows)


def to_uint8(images: Tensor) -> Tensor:
    """Return images in [-1, 1], float (N, C, H, W), as uint8 (N, C, H, W)."""
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def _resize_matrix(length: int, size: int) -> Tensor:
    """Return the weight of each of `length` pixels in each of `size` ones: float64 (S, L)."""
    pixels = torch.arange(length, dtype=torch.float64) + 0.5
    ratio = torch.ones((), dtype=torch.float64) * length / size
    centres = (torch.arange(size, dtype=torch.float64) + 0.5) * ratio
    reach = ratio.clamp(min=1.0)
    weights = (1 - (pixels - centres.unsqueeze(1)).abs() / reach).clamp(min=0.0)
    return weights / weights.sum(dim=1, keepdim=True)


def _crop_centre(pixels: Tensor, crop: int) -> Tensor:
    # torch.export refuses slices whose bounds depend on the size of the image.
    positions = torch.arange(crop)
    for dimension in (2, 3):
        start = (pixels.shape[dimension] - crop) // 2
        pixels = pixels.index_select(dimension, positions + start)
    return pixels
