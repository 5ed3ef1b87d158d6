"""Searches over recorded curves: the accuracies of any setting, from those of real trials."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from curve_surrogate import Surrogate, best_model, left_out_by_all
from curve_table import read_curves
from curve_variance import jitter, luck
from landscapes import Landscape
from scipy.special import expit

from adaptune.curves.kernel import Array
from adaptune.curves.search import logit
from adaptune.spec.distributions import Distribution, Value

Values = Mapping[str, Value]


class RecordedLandscape:
    """Accuracies of all settings after each epoch, as recorded trials suggest.

    A model of the recorded curves tells the mean, see `best_model`. A trial has some luck, part
    of which it shares with its group, and a jitter from epoch to epoch, both as measured. The
    interface is that of `Landscape`. No trial fails.

    Args:
        path: file that record_curves.py wrote.

    Raises:
        ValueError: the file has no curves.
    """

    def __init__(self, path: Path) -> None:
        curves = read_curves(path)
        spec = curves.recipe.spec()
        self.name = path.stem
        self.tree: Mapping[str, Any] = curves.recipe.tree
        self.space: Mapping[str, Distribution] = spec.space
        self.epochs = curves.epochs
        self.images = curves.recipe.images
        self.classifier_share = curves.classifier_share
        self._recorded = curves.values
        self._surrogate = Surrogate(curves, best_model(curves, left_out_by_all(curves)))
        self._jitter = jitter(curves.accuracies)
        luck_of_trials = luck(curves)
        self._luck = luck_of_trials.deviations
        self.shared_luck = luck_of_trials.shared
        self._curves: dict[tuple[tuple[str, Value], ...], Array] = {}

    @cached_property
    def best(self) -> float:
        """Highest final accuracy."""
        return self._surrogate.highest(self._recorded)

    def final(self, values: Values) -> float:
        """Return the accuracy of the best epoch of a setting, without luck."""
        return float(self._curve(values).max())

    def accuracy(
        self, values: Values, epoch: int, random: np.random.Generator, seed_effect: float = 0.0
    ) -> float:
        """Return the accuracy that a trial reports after an epoch, from 1.

        Args:
            random: generator of the noise of this report.
            seed_effect: standard normal number of the trial.
        """
        accuracy = self.true_accuracy(values, epoch, seed_effect)
        accuracy += self._jitter * random.standard_normal()
        return float(np.clip(round(accuracy * self.images) / self.images, 0, 1))

    def true_accuracy(self, values: Values, epoch: int, seed_effect: float = 0.0) -> float:
        """Return the accuracy of a trial after an epoch, without the jitter."""
        log_odds, _ = logit(self._curve(values)[epoch - 1], self.images)
        return float(expit(log_odds + self._luck[epoch - 1] * seed_effect))

    def _curve(self, values: Values) -> Array:
        key = tuple(sorted(values.items()))
        if key not in self._curves:
            self._curves[key] = self._surrogate.at(values)
        return self._curves[key]


AnyLandscape = Landscape | RecordedLandscape
