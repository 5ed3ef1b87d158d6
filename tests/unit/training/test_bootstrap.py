"""Intervals and p values of metrics that have no exact ones."""

from __future__ import annotations

import numpy as np
import pytest

from adaptune.training.bootstrap import (
    Bootstrap,
    Estimate,
    hit_rate,
    permutation_p_value,
    recall_by_class,
)
from adaptune.training.metrics import Predictions
from adaptune.training.significance import accuracy_interval

NAMES = ("cat", "dog")


def make_predictions(recalls: tuple[float, float], sizes: tuple[int, int]) -> Predictions:
    """Predictions whose recalls are these, exactly."""
    labels = np.repeat([0, 1], sizes)
    predicted = labels.copy()
    start = 0
    for recall, size in zip(recalls, sizes, strict=True):
        wrong = round((1 - recall) * size)
        predicted[start : start + wrong] = 1 - predicted[start : start + wrong]
        start += size
    return Predictions(np.eye(2)[predicted], labels, NAMES)


def test_the_interval_of_a_mean_recall_is_that_of_two_independent_rates() -> None:
    predictions = make_predictions((0.8, 0.6), (400, 100))
    estimate = Bootstrap({"model": predictions}, seed=0).estimates("model")["mean_recall"]
    variance = (0.8 * 0.2 / 400 + 0.6 * 0.4 / 100) / 4
    assert estimate.value == pytest.approx(0.7)
    low, high = estimate.ci95
    assert low == pytest.approx(0.7 - 1.96 * variance**0.5, abs=0.005)
    assert high == pytest.approx(0.7 + 1.96 * variance**0.5, abs=0.005)


def test_the_interval_of_the_accuracy_is_exact() -> None:
    predictions = make_predictions((0.8, 0.5), (40, 20))
    estimate = Bootstrap({"model": predictions}, seed=0, resamples=2).estimates("model")["accuracy"]
    assert estimate == Estimate(42 / 60, accuracy_interval(42, 60))


def test_every_metric_has_an_interval_around_its_value() -> None:
    predictions = make_predictions((0.8, 0.6), (40, 20))
    estimates = Bootstrap({"model": predictions}, seed=0, resamples=200).estimates("model")
    assert list(estimates) == ["accuracy", "mean_recall", "macro_f1", "auroc"]
    for estimate in estimates.values():
        low, high = estimate.ci95
        assert 0 <= low < estimate.value < high <= 1


def test_the_seed_decides_the_resamples() -> None:
    predictions = make_predictions((0.8, 0.6), (40, 20))

    def interval(seed: int) -> tuple[float, float]:
        bootstrap = Bootstrap({"model": predictions}, seed, resamples=50)
        return bootstrap.estimates("model")["macro_f1"].ci95

    assert interval(0) == interval(0)
    assert interval(0) != interval(1)


@pytest.mark.parametrize("metric", ["mean_recall", "macro_f1"])
def test_two_models_are_compared_image_by_image(metric: str) -> None:
    better = make_predictions((0.8, 0.6), (400, 100))
    worse = make_predictions((0.76, 0.56), (400, 100))  # wrong on the same images, and on more
    bootstrap = Bootstrap({"better": better, "worse": worse}, seed=0, resamples=200)
    intervals = [bootstrap.estimates(name)[metric].ci95 for name in ("better", "worse")]
    assert intervals[0][0] < intervals[1][1]  # they overlap
    for pair in ((better, worse), (worse, better)):
        assert permutation_p_value(*pair, metric, seed=0, resamples=500) == pytest.approx(1 / 501)
    assert permutation_p_value(better, better, metric, seed=0, resamples=500) == 1.0


@pytest.mark.parametrize(("images", "p"), [(1, 1.0), (2, 0.5), (5, 2 / 2**5)])
def test_a_few_images_of_a_rare_class_are_worth_what_they_are_in_mcnemars_test(
    images: int, p: float
) -> None:
    better = make_predictions((0.9, 1.0), (100, images))
    worse = make_predictions((0.9, 0.0), (100, images))
    assert permutation_p_value(better, worse, "mean_recall", seed=0) == pytest.approx(p, abs=0.03)


def test_auroc_is_compared_whatever_the_scale_of_the_logits() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], 100)
    margins = random.normal(size=200) + labels
    first = Predictions(np.stack([np.zeros(200), margins], axis=1), labels, NAMES)
    second = Predictions(np.stack([np.zeros(200), 1000 * margins], axis=1), labels, NAMES)
    assert permutation_p_value(first, second, "auroc", seed=0, resamples=100) == 1.0
    noise = random.normal(size=200)
    third = Predictions(np.stack([np.zeros(200), 1000 * noise], axis=1), labels, NAMES)
    assert permutation_p_value(first, third, "auroc", seed=0, resamples=100) == pytest.approx(
        1 / 101
    )


def test_a_difference_within_chance_is_not_significant() -> None:
    first = make_predictions((0.8, 0.6), (40, 20))
    labels = first.labels
    predicted = np.roll(first.predicted, 1)  # as many errors on other images
    second = Predictions(np.eye(2)[predicted], labels, NAMES)
    assert permutation_p_value(first, second, "macro_f1", seed=0) > 0.05


def test_recalls_have_exact_intervals_and_a_class_without_images_has_none() -> None:
    predictions = Predictions(np.eye(2)[[0, 0, 1]], np.array([0, 0, 0]), NAMES)
    hits = np.array([True, True, False])
    assert recall_by_class(predictions) == {"cat": hit_rate(hits), "dog": None}


def test_an_estimate_is_printed_in_percent_with_its_interval() -> None:
    assert Estimate(0.972, (0.9614, 0.98)).in_percent() == "97.2 (96.1 to 98.0)"
