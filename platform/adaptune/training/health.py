"""Signs that a GAN has gone wrong, looked for after each epoch on the same source images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

# How far from health a sign has to be. Each is well beyond what good trials pass through.
MIN_DIVERSITY = 0.1
MAX_COLOUR_CORRELATION = -0.5
MAX_FLIP_P = 1e-4
MIN_DISCRIMINATOR_LOSS = 0.05  # of its value at chance
MAX_GROWTH = 10.0
CHANCE = {"lsgan": 0.5, "log": 2 * math.log(2)}  # loss of both image discriminators together
_GROWING = ("loss/cycle", "loss/identity", "loss/task", "loss/semantic")


def diversity(source: Tensor, translated: Tensor) -> float:
    """How much translations differ from each other, relative to their source images: 1 alike, 0 all the same.

    Args:
        source, translated: (N, C, H, W).
    """
    own, original = (images.float().std(dim=0).mean() for images in (translated, source))
    return float(own / original.clamp_min(1e-8))


def colour_correlation(source: Tensor, translated: Tensor) -> float:
    """Mean Pearson correlation between an image and its translation, in [-1, 1]: -1 is an inversion."""
    flat = [images.flatten(1).float() for images in (source, translated)]
    first, second = (pixels - pixels.mean(dim=1, keepdim=True) for pixels in flat)
    norms = (first.norm(dim=1) * second.norm(dim=1)).clamp_min(1e-8)
    return float(((first * second).sum(dim=1) / norms).mean())


def label_flip(labels: Tensor, seen: Tensor, classes: int) -> tuple[float, str]:
    """Whether translation carries classes into others: p, and which, such as `4 as 9, 9 as 4`.

    The one-to-one renaming of classes that the confusion matrix supports best is held against "no renaming".
    Of the samples in its renamed classes that f_S sees as one or the other, each would be as likely the one
    as the other if labels survived no better than by chance: p is that chance's tail (an exact sign
    permutation test), times the number of renamings of so many classes, since the best of them was chosen.

    Args:
        labels: the true ones, int64 (N,).
        seen: what f_S sees in the translations, int64 (N,).
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.stats import binomtest

    confusion = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(confusion, (labels.cpu().numpy(), seen.cpu().numpy()), 1)
    _, renamed = linear_sum_assignment(-confusion)
    moved = np.flatnonzero(renamed != np.arange(classes))
    flipped = int(confusion[moved, renamed[moved]].sum())
    kept = int(confusion[moved, moved].sum())
    if flipped <= kept:
        return 1.0, ""
    p = float(binomtest(flipped, flipped + kept, alternative="greater").pvalue)
    log_renamings = math.lgamma(classes + 1) - math.lgamma(classes - len(moved) + 1)
    if p:  # 0 where it is too small for a float
        p = math.exp(min(0.0, math.log(p) + log_renamings))
    return p, ", ".join(f"{label} as {renamed[label]}" for label in moved)


def brightness_drift(source: Tensor, translated: Tensor, target: Tensor) -> float:
    """How much further from the target's mean intensity translations are than their source images; below 0: nearer."""
    goal = target.float().mean()
    return float((translated.float().mean() - goal).abs() - (source.float().mean() - goal).abs())


def signs(
    source: Tensor, translated: Tensor, target: Tensor, labels: Tensor, seen: Tensor, classes: int
) -> dict[str, Any]:
    """What of an epoch's record is about health: four figures, and which classes seem flipped.

    Args:
        target: images of the target, whichever: (M, C, H, W).
    """
    p, flips = label_flip(labels, seen, classes)
    return {
        "health/diversity": diversity(source, translated),
        "health/colour_correlation": colour_correlation(source, translated),
        "health/brightness_drift": brightness_drift(source, translated, target),
        "health/flip_p": p,
        "health/flips": flips,
    }


def diagnose(record: Mapping[str, Any], lowest: Mapping[str, float], gan_loss: str) -> str | None:
    """What is wrong in this epoch, `kind: figures`; None in health.

    Args:
        record: an epoch's, with `signs` in it.
        lowest: the lowest mean of each loss term so far.
    """
    if record["health/diversity"] < MIN_DIVERSITY:
        return f"generator collapse: translations have {record['health/diversity']:.0%} of the source's variety"
    # Where the target is the source's negative, an inversion is what is asked for.
    if (
        record["health/colour_correlation"] < MAX_COLOUR_CORRELATION
        and record["health/brightness_drift"] > 0
    ):
        return f"colour inversion: images and translations correlate by {record['health/colour_correlation']:.2f}"
    if record["health/flip_p"] < MAX_FLIP_P:
        return f"label flip: f_S sees classes {record['health/flips']} (p {record['health/flip_p']:.1g})"
    loss = record.get("loss/discriminator")
    if loss is not None and loss < MIN_DISCRIMINATOR_LOSS * CHANCE[gan_loss]:
        return f"discriminator win: its loss is {loss:.3g}, at chance {CHANCE[gan_loss]:.3g}"
    for term in _GROWING:
        value = record.get(term, 0.0)
        if value > max(1.0, MAX_GROWTH * lowest.get(term, math.inf)):
            return f"divergence: {term.removeprefix('loss/')} is {value:.3g}, it was {lowest[term]:.3g}"
    return None


class HealthMonitor:
    """Looks after each epoch of a trial; sick is who has the same sign twice running."""

    def __init__(
        self, gan_loss: str, lowest: dict[str, float], last: Mapping[str, Any] | None
    ) -> None:
        """Begin, or go on after an interruption.

        Args:
            lowest: the lowest mean of each loss term so far; brought up to date here.
            last: the record of the last epoch.
        """
        self._gan_loss = gan_loss
        self._lowest = lowest
        self._last: str | None = (last or {}).get("health/sign")

    def look(self, record: Mapping[str, Any]) -> dict[str, str | None]:
        """The epoch's `health/sign` and `sick`, each None in health."""
        sign, last = diagnose(record, self._lowest, self._gan_loss), self._last
        again = (
            sign is not None
            and last is not None
            and sign.partition(":")[0] == last.partition(":")[0]
        )
        for term in _GROWING:
            if term in record:
                self._lowest[term] = min(record[term], self._lowest.get(term, math.inf))
        self._last = sign
        return {"health/sign": sign, "sick": sign if again else None}
