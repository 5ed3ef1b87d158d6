"""Symptoms of a failing GAN, checked after each epoch on the same source images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from adaptune.data.device_images import DeviceImages
from adaptune.data.domain import UNLABELLED
from adaptune.data.splits import TrialData
from adaptune.data.stratify import subset
from adaptune.seeding import derive_seed
from adaptune.spec.training import TrainingSpec
from adaptune.training.build import uses_bf16
from adaptune.training.distributed import world_size
from adaptune.training.health_figures import (
    ImageMoments,
    brightness_drift,
    colour_correlations,
    diversity,
    label_flip,
)
from adaptune.training.inference import image_batches, uncompiled
from adaptune.training.record import EpochRecord, HealthReport

# Each limit is well beyond what good trials pass through.
MIN_DIVERSITY = 0.1
MAX_COLOUR_CORRELATION = -0.5
MAX_FLIP_P = 1e-4
MIN_DISCRIMINATOR_LOSS = 0.05  # relative to its value at chance
MAX_GROWTH = 10.0
# Loss of both image discriminators together.
CHANCE = {"lsgan": 0.5, "log": 2 * math.log(2), "hinge": 2.0}
PROBE_IMAGES = 256
# Images that are translated at a time, per image of an update. Without gradients, an image takes
# about a fortieth of the memory.
_TRANSLATED_PER_TRAINED = 8
_PROBE_SEED = derive_seed(0, "health probe")  # trials are measured on the same images
_GROWING = ("cycle", "identity", "task", "semantic")


class HealthProbe:
    """Up to 256 images of source_val and of target_train, on which each epoch is measured.

    They are a random choice, the same for all trials, in which each class of the source keeps its
    proportion.

    Args:
        data: data of the trial.
        device: device of the networks.
        training: settings of the training, which decide precision and memory.
    """

    def __init__(
        self, data: TrialData, device: torch.device, training: TrainingSpec | None = None
    ) -> None:
        training = training or TrainingSpec()
        # Samples may be sorted by class: the first ones would be of a few classes only.
        of_source = subset(data.source_val_labels, PROBE_IMAGES, _PROBE_SEED)
        unknown_labels = np.full(len(data.target_train_images), UNLABELLED)
        of_target = subset(unknown_labels, PROBE_IMAGES, _PROBE_SEED)
        self._classes = len(data.class_names)
        self._bf16 = uses_bf16(training, device)
        update_images = training.batch_size // (world_size() * training.accumulate)
        self._batch_limit = max(1, _TRANSLATED_PER_TRAINED * update_images)
        self._source = DeviceImages(
            data.source_val_images.subset(of_source), data.source_val_labels[of_source], device
        )
        self._target = ImageMoments()
        for images in image_batches(
            DeviceImages(data.target_train_images.subset(of_target), None, device)
        ):
            self._target.add(images)

    @torch.no_grad()
    def report(self, g_st: nn.Module, f_s: nn.Module) -> HealthReport:
        """Return the figures of G_st, without a diagnosis; f_S classifies its translations."""
        source = ImageMoments()
        translations = ImageMoments()
        correlations = []
        predicted = []
        for images in image_batches(self._source, limit=self._batch_limit):
            autocast = torch.autocast(images.device.type, torch.bfloat16, enabled=self._bf16)
            with uncompiled(), autocast:
                translated = g_st(images)
                predicted.append(f_s(translated).argmax(dim=1))
            source.add(images)
            translations.add(translated)
            correlations.append(colour_correlations(images, translated))
        p, flips = label_flip(self._source.labels, torch.cat(predicted), self._classes)
        return HealthReport(
            diversity=diversity(source, translations),
            colour_correlation=float(torch.cat(correlations).mean()),
            brightness_drift=brightness_drift(source, translations, self._target),
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
        gan_loss: `lsgan`, `log` or `hinge`.
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
        gan_loss: `lsgan`, `log` or `hinge`.
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


def _kind(symptom: str | None) -> str | None:
    return None if symptom is None else symptom.partition(":")[0]
