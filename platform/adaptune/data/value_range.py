"""The range of stored values that becomes 0 to 255."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from adaptune.data.array_types import Pixels
from adaptune.spec.data import Interval

_SMALL_SHARE = 0.1  # leaves 25 of 255 steps of brightness


def scale(
    pixels: Tensor, kind: np.dtype[np.uint8 | np.uint16], intervals: Sequence[Interval] | None
) -> Tensor:
    """Return stored values as 0 to 255.

    Args:
        pixels: float32 (N, C, H, W), stored values.
        kind: their type as they are stored.
        intervals: low and high for all channels, or for each of C; None for the full range of
            `kind`.
    """
    if intervals is not None:
        bounds = torch.tensor(intervals).view(-1, 2, 1, 1)
        low = bounds[:, 0:1].squeeze(1)
        high = bounds[:, 1:2].squeeze(1)
        return ((pixels - low) * (255 / (high - low))).clamp(0, 255)
    if kind == np.uint8:
        return pixels
    return pixels * (255 / np.iinfo(kind).max)


@dataclass
class UsedRange:
    """The range of the values of the images that were added.

    Attributes:
        low: the lowest value.
        high: the highest value.
        full: the highest value that can be stored.
    """

    low: int = 2**16
    high: int = 0
    full: int = 255

    def add(self, pixels: Pixels) -> None:
        """Take the values of an image into account."""
        self.low = min(self.low, int(pixels.min()))
        self.high = max(self.high, int(pixels.max()))
        self.full = max(self.full, int(np.iinfo(pixels.dtype).max))

    def include(self, other: UsedRange) -> None:
        """Take the images of another range into account."""
        self.low = min(self.low, other.low)
        self.high = max(self.high, other.high)
        self.full = max(self.full, other.full)

    def note(self) -> str | None:
        """Return a remark if the images use less than a tenth of 16 bits, otherwise None."""
        if self.full == 255 or self.high - self.low >= _SMALL_SHARE * self.full:
            return None
        return (
            f"the images use only {self.low} to {self.high} of 0 to {self.full}, so that they are"
            f" almost of one colour: set value_range: [{self.low}, {self.high}]"
        )
