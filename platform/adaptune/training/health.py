"""Symptoms of a failing GAN, checked after each epoch on the same source images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from adaptune.data.device_images import DeviceImages
from adaptune.data.domain import UNLABELLED
from adaptune.data.splits import TrialData
from adaptune.data.stratify import subset
from adaptune.seeding import derive_seed
from adaptune.training.record import EpochRecord, HealthReport

# Each limit is well beyond what good trials pass through.
MIN_DIVERSITY = 0.1
MAX_COLOUR_CORRELATION = -0.5
MAX_FLIP_P = 1e-4
MIN_DISCRIMINATOR_LOSS = 0.05  # relative to its value at chance
MAX_GROWTH = 10.0
CHANCE = {"lsgan": 0.5, "log": 2 * math.log(2)}  # loss of both image discriminators together
PROBE_IMAGES = 256
_PROBE_SEED = derive_seed(0, "health probe")  # trials are measured on the same images
_GROWING = ("cycle", "identity", "task", "semantic")
_EPSILON = 1e-8


def diversity(source: Tensor, translated: Tensor) -> float:
    """Return the variety of translations relative to their source images, at least 0.

    It is 1 if translations differ from each other as much as the source images do, and 0 if all
    translations are equal.

    Args:
        source, translated: (N, C, H, W).
    """
    translated_spread = translated.float().std(dim=0).mean()
    source_spread = source.float().std(dim=0).mean()
    return float(translated_spread / source_spread.clamp_min(_EPSILON))


def colour_correlation(source: Tensor, translated: Tensor) -> float:
    """Return the mean Pearson correlation between images and their translations, in [-1, 1].

    It is -1 if each translation is the negative of its image.

    Args:
        source, translated: (N, C, H, W).
    """
    centred_source = _centred_pixels(source)
    centred_translated = _centred_pixels(translated)
    norms = centred_source.norm(dim=1) * centred_translated.norm(dim=1)
    covariances = (centred_source * centred_translated).sum(dim=1)
    return float((covariances / norms.clamp_min(_EPSILON)).mean())


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


def brightness_drift(source: Tensor, translated: Tensor, target: Tensor) -> float:
    """Return the change of the distance to the target's mean intensity, in units of intensity.

    It is positive if the translations are further from the target than their source images are.

    Args:
        source, translated: (N, C, H, W).
        target: (M, C, H, W).
    """
    goal = target.float().mean()
    distance_after = (translated.float().mean() - goal).abs()
    distance_before = (source.float().mean() - goal).abs()
    return float(distance_after - distance_before)


class HealthProbe:
    """Up to 256 images of source_val and of target_train, on which each epoch is measured.

    They are a random choice, the same for all trials, in which each class of the source keeps its
    proportion.

    Args:
        data: data of the trial.
        device: device of the networks.
    """

    def __init__(self, data: TrialData, device: torch.device) -> None:
        # Samples may be sorted by class: the first ones would be of a few classes only.
        of_source = subset(data.source_val_labels, PROBE_IMAGES, _PROBE_SEED)
        unknown_labels = np.full(len(data.target_train_images), UNLABELLED)
        of_target = subset(unknown_labels, PROBE_IMAGES, _PROBE_SEED)
        source = DeviceImages(
            data.source_val_images.subset(of_source), data.source_val_labels[of_source], device
        )
        target = DeviceImages(data.target_train_images.subset(of_target), None, device)
        self._classes = len(data.class_names)
        self._source = source.take(torch.arange(len(source)))
        self._labels = source.labels
        self._target = target.take(torch.arange(len(target)))

    @torch.no_grad()
    def report(self, g_st: nn.Module, f_s: nn.Module) -> HealthReport:
        """Measure G_st; f_S classifies its translations."""
        translated = g_st(self._source)
        predicted = f_s(translated).argmax(dim=1)
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
    """Diagnoses each epoch of a trial. Two symptoms of one kind in a row make it unhealthy.

    Args:
        gan_loss: `lsgan` or `log`.
        lowest: lowest mean of each loss term so far; `update` keeps it current.
        last: record of the last epoch, if the trial resumes.
    """

    def __init__(self, gan_loss: str, lowest: dict[str, float], last: EpochRecord | None) -> None:
        self._gan_loss = gan_loss
        self._lowest = lowest
        self._last_symptom: str | None = None
        if last is not None and last.health is not None:
            self._last_symptom = last.health.symptom

    def update(self, report: HealthReport, losses: Mapping[str, float]) -> HealthReport:
        """Return the report of the next epoch with its diagnosis.

        Args:
            report: figures of the epoch.
            losses: mean of each loss term over the epoch.
        """
        symptom = diagnose(report, losses, self._lowest, self._gan_loss)
        repeated = symptom is not None and _kind(symptom) == _kind(self._last_symptom)
        for term in _GROWING:
            if term in losses:
                self._lowest[term] = min(losses[term], self._lowest.get(term, math.inf))
        self._last_symptom = symptom
        return replace(report, symptom=symptom, unhealthy=symptom if repeated else None)


def _centred_pixels(images: Tensor) -> Tensor:
    """Subtract from each image the mean over its pixels: (N, C, H, W) → (N, C · H · W)."""
    pixels = images.flatten(1).float()
    return pixels - pixels.mean(dim=1, keepdim=True)


def _kind(symptom: str | None) -> str | None:
    return None if symptom is None else symptom.partition(":")[0]
