"""Brightness and colour of the images of a domain."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from adaptune.data.array_types import Images, Indices
from adaptune.data.duplicates import BLANK_CONTRAST

BINS = 64
_LEVELS_PER_BIN = 256 // BINS


@dataclass(frozen=True)
class ImageStatistics:
    """Statistics of N images in grey levels, 0 to 255.

    Attributes:
        mean: the mean of each channel, (C,).
        deviation: the standard deviation of each channel over all pixels of all images, (C,).
        contrast: the mean of the images' standard deviations.
        saturation: the mean difference of a pixel's largest and smallest channel.
        histogram: the fraction of the pixels of each channel in each of `BINS` equal bins,
            (C, BINS).
        blank: indices of the images that are of one colour, int64 (B,).
    """

    mean: npt.NDArray[np.float64]
    deviation: npt.NDArray[np.float64]
    contrast: float
    saturation: float
    histogram: npt.NDArray[np.float64]
    blank: Indices


def image_statistics(batches: Iterable[Images]) -> ImageStatistics:
    """Return the statistics of at least one image: batches of uint8 (B, C, H, W)."""
    counts: npt.NDArray[np.int64] | None = None
    contrasts = []
    spread_sum = 0.0
    pixels = 0
    for batch in batches:
        channels = batch.shape[1]
        if counts is None:
            counts = np.zeros((channels, 256), dtype=np.int64)
        for channel in range(channels):
            values = np.ascontiguousarray(batch[:, channel]).ravel()
            counts[channel] += np.bincount(values, minlength=256)
        contrasts.append(batch.std(axis=(2, 3), dtype=np.float32).mean(axis=1))
        # The maximum and the minimum are as small as the batch: bytes.
        spread = batch.max(axis=1) - batch.min(axis=1)
        spread_sum += float(spread.sum(dtype=np.int64))
        pixels += spread.size
    assert counts is not None
    fractions = counts / counts.sum(axis=1, keepdims=True)
    levels = np.arange(256)
    mean = fractions @ levels
    variance = fractions @ levels**2 - mean**2
    contrast = np.concatenate(contrasts)
    return ImageStatistics(
        mean=mean,
        deviation=np.sqrt(variance.clip(min=0)),
        contrast=float(contrast.mean()),
        saturation=spread_sum / pixels,
        histogram=fractions.reshape(len(fractions), BINS, _LEVELS_PER_BIN).sum(axis=2),
        blank=np.flatnonzero(contrast < BLANK_CONTRAST),
    )
