"""Certainty of metrics that have no exact interval: a bootstrap over the images of a test set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adaptune.data.array_types import Labels
from adaptune.training.metrics import ACCURACY, Predictions
from adaptune.training.significance import SIGNIFICANCE_LEVEL, accuracy_interval

RESAMPLES = 2000
_ROUNDING = 1e-12
Draws = dict[str, list[float]]  # values of each metric, in the order of the resamples


@dataclass(frozen=True)
class Estimate:
    """A metric with its certainty.

    Attributes:
        value: in [0, 1].
        ci95: bounds of the 95% interval.
    """

    value: float
    ci95: tuple[float, float]

    def in_percent(self) -> str:
        """Return the value with its interval: `97.2 (96.1 to 98.0)`."""
        low, high = self.ci95
        return f"{100 * self.value:.1f} ({100 * low:.1f} to {100 * high:.1f})"


class Bootstrap:
    """Metrics of models on resamples of the same images.

    The resamples are drawn per class, which keep their numbers of images, and are the same for all
    models (Efron & Tibshirani 1993, chapter 13).

    Args:
        models: predictions of each model for the same images, by its name.
        seed: decides the resamples.
    """

    def __init__(
        self, models: Mapping[str, Predictions], seed: int, resamples: int = RESAMPLES
    ) -> None:
        self._models = models
        self._draws: dict[str, Draws] = {name: {} for name in models}
        labels = next(iter(models.values())).labels
        for counts in _resamples(labels, seed, resamples):
            for name, predictions in models.items():
                for metric, value in predictions.values(counts).items():
                    self._draws[name].setdefault(metric, []).append(value)

    def estimates(self, model: str) -> dict[str, Estimate]:
        """Return the metrics of a model, by their keys in `METRICS`.

        The interval of the accuracy is exact (Clopper & Pearson 1934); the others are percentiles.
        """
        predictions = self._models[model]
        estimates = {}
        for metric, value in predictions.values().items():
            if metric == ACCURACY:
                estimates[metric] = hit_rate(predictions.hits)
                continue
            tail = 100 * SIGNIFICANCE_LEVEL / 2
            low, high = np.percentile(self._draws[model][metric], [tail, 100 - tail])
            estimates[metric] = Estimate(value, (float(low), float(high)))
        return estimates


def permutation_p_value(
    first: Predictions, second: Predictions, metric: str, seed: int, resamples: int = RESAMPLES
) -> float:
    """Return the two-sided p value of the difference of two models on the same images.

    If the models were alike, their predictions of each image could be exchanged: a paired
    permutation test (Good 2005, section 3.2).

    Args:
        metric: a key of `METRICS`.
        seed: decides which predictions are exchanged.
    """

    def difference(first: Predictions, second: Predictions) -> float:
        return abs(first.values()[metric] - second.values()[metric])

    random = np.random.default_rng(seed)
    observed = difference(first, second) - _ROUNDING
    as_large = 0
    for _ in range(resamples):
        exchanged = random.random(len(first.labels)) < 0.5
        as_large += difference(*first.exchanged(second, exchanged)) >= observed
    return (as_large + 1) / (resamples + 1)


def hit_rate(hits: NDArray[np.bool_]) -> Estimate:
    """Return the rate of correct predictions, (N,), with its exact interval; N is at least 1."""
    interval = accuracy_interval(int(hits.sum()), len(hits))
    return Estimate(float(hits.mean()), interval)


def recall_by_class(predictions: Predictions) -> dict[str, Estimate | None]:
    """Return the recall of each class with its exact interval; None for one without images."""
    recalls: dict[str, Estimate | None] = {}
    for label, name in enumerate(predictions.class_names):
        hits = predictions.hits[predictions.labels == label]
        recalls[name] = hit_rate(hits) if len(hits) else None
    return recalls


def _resamples(labels: Labels, seed: int, resamples: int) -> Iterator[NDArray[np.int64]]:
    """Yield how many times each of N images counts in a resample, (N,)."""
    random = np.random.default_rng(seed)
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    counts = np.zeros(len(labels), dtype=np.int64)
    for _ in range(resamples):
        for indices in members:
            drawn = random.integers(len(indices), size=len(indices))
            counts[indices] = np.bincount(drawn, minlength=len(indices))
        yield counts
