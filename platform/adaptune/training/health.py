"""Signs that a GAN has gone wrong, looked for after each epoch on the same source images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from adaptune.data.device_images import DeviceImages
from adaptune.data.splits import TrialData
from adaptune.training.record import EpochRecord, HealthReport

# How far from health a sign has to be. Each is well beyond what good trials pass through.
MIN_DIVERSITY = 0.1
MAX_COLOUR_CORRELATION = -0.5
MAX_FLIP_P = 1e-4
MIN_DISCRIMINATOR_LOSS = 0.05  # of its value at chance
MAX_GROWTH = 10.0
CHANCE = {"lsgan": 0.5, "log": 2 * math.log(2)}  # loss of both image discriminators together
PROBE_IMAGES = 256
_GROWING = ("cycle", "identity", "task", "semantic")


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


class HealthProbe:
    """Up to 256 images of source_val and of target_train, on which each epoch is measured."""

    def __init__(self, data: TrialData, device: torch.device) -> None:
        source = DeviceImages(
            data.source_val_images[:PROBE_IMAGES], data.source_val_labels[:PROBE_IMAGES], device
        )
        target = DeviceImages(data.target_train_images[:PROBE_IMAGES], None, device)
        self._classes = len(data.class_names)
        self._source = source.take(torch.arange(len(source)))
        self._labels = source.labels
        self._target = target.take(torch.arange(len(target)))

    @torch.no_grad()
    def report(self, g_st: nn.Module, f_source: nn.Module) -> HealthReport:
        """Measure G_st; f_S classifies its translations."""
        translated = g_st(self._source)
        predicted = f_source(translated).argmax(dim=1)
        return measure(
            self._source, translated, self._target, self._labels, predicted, self._classes
        )


def measure(
    source: Tensor,
    translated: Tensor,
    target: Tensor,
    labels: Tensor,
    predicted: Tensor,
    classes: int,
) -> HealthReport:
    """Return the health figures of one epoch, without a diagnosis.

    Args:
        source, translated: source images and their translations, (N, C, H, W).
        target: any target images, (M, C, H, W).
        labels: true labels of the source images, int64 (N,).
        predicted: f_S's labels of the translations, int64 (N,).
        classes: number of classes.
    """
    p, flips = label_flip(labels, predicted, classes)
    return HealthReport(
        diversity=diversity(source, translated),
        colour_correlation=colour_correlation(source, translated),
        brightness_drift=brightness_drift(source, translated, target),
        flip_p=p,
        flips=flips,
    )


def diagnose(
    report: HealthReport,
    losses: Mapping[str, float],
    lowest: Mapping[str, float],
    gan_loss: str,
) -> str | None:
    """Return the symptom of an epoch, `kind: figures`, or None if it is healthy.

    Args:
        report: figures of the epoch.
        losses: mean of each loss term over the epoch.
        lowest: lowest mean of each loss term in earlier epochs.
        gan_loss: `lsgan` or `log`.
    """
    if report.diversity < MIN_DIVERSITY:
        return (
            f"generator collapse: translations have {report.diversity:.0%} of the source's variety"
        )
    # If the target is the source's negative, an inversion is the right translation.
    correlation = report.colour_correlation
    if correlation < MAX_COLOUR_CORRELATION and report.brightness_drift > 0:
        return f"colour inversion: images and translations correlate by {correlation:.2f}"
    if report.flip_p < MAX_FLIP_P:
        return f"label flip: f_S sees classes {report.flips} (p {report.flip_p:.1g})"
    chance = CHANCE[gan_loss]
    discriminator = losses.get("discriminator")
    if discriminator is not None and discriminator < MIN_DISCRIMINATOR_LOSS * chance:
        return f"discriminator win: its loss is {discriminator:.3g}, at chance {chance:.3g}"
    for term in _GROWING:
        value = losses.get(term, 0.0)
        if value > max(1.0, MAX_GROWTH * lowest.get(term, math.inf)):
            return f"divergence: {term} is {value:.3g}, it was {lowest[term]:.3g}"
    return None


class HealthMonitor:
    """Diagnoses each epoch of a trial. Two symptoms of one kind in a row make it unhealthy."""

    def __init__(self, gan_loss: str, lowest: dict[str, float], last: EpochRecord | None) -> None:
        """Begin, or continue after an interruption.

        Args:
            gan_loss: `lsgan` or `log`.
            lowest: lowest mean of each loss term so far; `update` keeps it current.
            last: record of the last epoch.
        """
        self._gan_loss = gan_loss
        self._lowest = lowest
        self._last_symptom: str | None = None
        if last is not None and last.health is not None:
            self._last_symptom = last.health.symptom

    def update(self, report: HealthReport, losses: Mapping[str, float]) -> HealthReport:
        """Return the report of the next epoch with its diagnosis."""
        symptom = diagnose(report, losses, self._lowest, self._gan_loss)
        repeated = symptom is not None and _kind(symptom) == _kind(self._last_symptom)
        for term in _GROWING:
            if term in losses:
                self._lowest[term] = min(losses[term], self._lowest.get(term, math.inf))
        self._last_symptom = symptom
        return replace(report, symptom=symptom, unhealthy=symptom if repeated else None)


def _kind(symptom: str | None) -> str | None:
    return None if symptom is None else symptom.partition(":")[0]
