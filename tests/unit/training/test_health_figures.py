from __future__ import annotations

import math

import pytest
import torch

from adaptune.training.health_figures import (
    ImageMoments,
    brightness_drift,
    colour_correlations,
    diversity,
    label_flip,
)

CLASSES = 4
LABELS = torch.arange(200) % CLASSES
IMAGES = torch.rand(200, 3, 8, 8, generator=torch.Generator().manual_seed(0)) - 1


def moments(images: torch.Tensor) -> ImageMoments:
    sums = ImageMoments()
    for batch in images.split(64):
        sums.add(batch)
    return sums


def test_mean_and_spread_are_those_of_all_batches_together() -> None:
    sums = moments(IMAGES)
    assert sums.mean == pytest.approx(float(IMAGES.mean()), rel=1e-6)
    assert sums.spread == pytest.approx(float(IMAGES.std(dim=0).mean()), rel=1e-6)


def test_one_image_has_no_spread() -> None:
    assert math.isnan(moments(IMAGES[:1]).spread)


def test_diversity_is_the_spread_relative_to_that_of_the_source() -> None:
    same = IMAGES[:1].expand_as(IMAGES)
    assert diversity(moments(IMAGES), moments(IMAGES)) == 1
    assert diversity(moments(IMAGES), moments(0.5 * IMAGES)) == pytest.approx(0.5)
    assert diversity(moments(IMAGES), moments(same)) == pytest.approx(0, abs=1e-6)


def test_the_colour_correlation_of_each_image() -> None:
    translated = torch.cat([0.3 * IMAGES[:100] + 0.2, -IMAGES[100:]])
    correlations = colour_correlations(IMAGES, translated)
    torch.testing.assert_close(correlations[:100], torch.ones(100))
    torch.testing.assert_close(correlations[100:], -torch.ones(100))


def test_brightness_drift_is_the_change_of_the_distance_to_the_target() -> None:
    images = torch.full((2, 1, 4, 4), -0.5)
    source = moments(images)
    target = moments(torch.full((3, 1, 4, 4), 0.25))
    assert brightness_drift(source, source, target) == 0
    assert brightness_drift(source, moments(images + 0.5), target) == pytest.approx(0.25 - 0.75)
    assert brightness_drift(source, moments(images - 0.25), target) == pytest.approx(1.0 - 0.75)


@pytest.mark.parametrize("classes", [4, 10, 31, 65])
def test_guesses_are_no_flip(classes: int) -> None:
    random = torch.Generator().manual_seed(1)
    labels = torch.arange(256) % classes
    guesses = [torch.randint(classes, (256,), generator=random) for _ in range(100)]
    assert min(label_flip(labels, guess, classes)[0] for guess in guesses) > 1e-4


def test_two_of_many_classes_that_change_places_are_found() -> None:
    labels = torch.arange(256) % 10
    swapped = torch.where(labels == 4, 9, torch.where(labels == 9, 4, labels))
    p, flips = label_flip(labels, swapped, 10)
    assert p < 1e-10
    assert flips == "4 as 9, 9 as 4"


def test_confusion_and_a_dead_classifier_are_no_flip() -> None:
    assert label_flip(LABELS, torch.zeros_like(LABELS), CLASSES) == (1.0, "")
    confused = torch.where(torch.arange(200) % 5 == 0, (LABELS + 1) % CLASSES, LABELS)
    assert label_flip(LABELS, confused, CLASSES)[0] == 1.0
