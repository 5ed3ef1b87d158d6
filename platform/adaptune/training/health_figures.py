"""Figures of the health of a GAN: statistics of images and of their translations."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

_EPSILON = 1e-8


class ImageMoments:
    """Sums over the images of batches, from which their mean and their spread follow."""

    def __init__(self) -> None:
        self._count = 0
        self._sum = torch.zeros(())
        self._sum_of_squares = torch.zeros(())

    def add(self, images: Tensor) -> None:
        """Add a batch, (N, C, H, W)."""
        images = images.double()
        self._count += len(images)
        self._sum = self._sum.to(images.device) + images.sum(dim=0)
        self._sum_of_squares = self._sum_of_squares.to(images.device) + images.square().sum(dim=0)

    @property
    def mean(self) -> float:
        """The mean intensity of all pixels."""
        return float(self._sum.mean() / self._count)

    @property
    def spread(self) -> float:
        """The standard deviation over the images, averaged over pixels; NaN for one image."""
        if self._count < 2:
            return math.nan
        squares = self._sum_of_squares - self._sum.square() / self._count
        return float((squares.clamp_min(0) / (self._count - 1)).sqrt().mean())


def diversity(source: ImageMoments, translated: ImageMoments) -> float:
    """Return the variety of translations relative to their source images, at least 0.

    It is 1 if translations differ from each other as much as the source images do, and 0 if all
    translations are equal.
    """
    return translated.spread / max(source.spread, _EPSILON)


def colour_correlations(source: Tensor, translated: Tensor) -> Tensor:
    """Return the Pearson correlation between each image and its translation: (N,), in [-1, 1].

    It is -1 if the translation is the negative of its image.

    Args:
        source, translated: (N, C, H, W).
    """
    centred_source = _centred_pixels(source)
    centred_translated = _centred_pixels(translated)
    norms = centred_source.norm(dim=1) * centred_translated.norm(dim=1)
    covariances = (centred_source * centred_translated).sum(dim=1)
    correlations: Tensor = covariances / norms.clamp_min(_EPSILON)
    return correlations


def brightness_drift(source: ImageMoments, translated: ImageMoments, target: ImageMoments) -> float:
    """Return the change of the distance to the target's mean intensity, in units of intensity.

    It is positive if the translations are further from the target than their source images are.
    """
    distance_after = abs(translated.mean - target.mean)
    distance_before = abs(source.mean - target.mean)
    return distance_after - distance_before


def label_flip(labels: Tensor, predicted: Tensor, classes: int) -> tuple[float, str]:
    """Test whether the translation carries images of one class into another.

    The renaming of classes that fits the predictions best is compared with no renaming. Of the
    samples in renamed classes that f_S predicts as the old or the new class, each would be as
    likely either if labels survived the translation by chance only. p is the tail of that chance
    (an exact sign test), times the number of renamings of so many classes, because the best was
    chosen.

    Args:
        labels: true labels, int64 (N,).
        predicted: f_S's labels of the translations, int64 (N,).
        classes: number of classes, K.

    Returns:
        p in [0, 1], and the renamed classes, such as `4 as 9, 9 as 4`; empty if there are none.
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.stats import binomtest

    confusion = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(confusion, (labels.cpu().numpy(), predicted.cpu().numpy()), 1)
    _, new_names = linear_sum_assignment(-confusion)
    renamed = np.flatnonzero(new_names != np.arange(classes))
    flipped = int(confusion[renamed, new_names[renamed]].sum())
    kept = int(confusion[renamed, renamed].sum())
    if flipped <= kept:
        return 1.0, ""
    p = float(binomtest(flipped, flipped + kept, alternative="greater").pvalue)
    log_renamings = math.lgamma(classes + 1) - math.lgamma(classes - len(renamed) + 1)
    if p:  # 0 if it is too small for a float
        p = math.exp(min(0.0, math.log(p) + log_renamings))
    return p, ", ".join(f"{label} as {new_names[label]}" for label in renamed)


def _centred_pixels(images: Tensor) -> Tensor:
    """Subtract from each image the mean over its pixels: (N, C, H, W) → (N, C · H · W)."""
    pixels = images.flatten(1).float()
    return pixels - pixels.mean(dim=1, keepdim=True)
