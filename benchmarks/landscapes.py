"""Searches in closed form: the accuracy of a configuration after each epoch, without any training.

Each landscape is a function of four loss weights, in the ranges of `SPACE`. Its final accuracy is
highest at `OPTIMUM`. The shapes were fixed before any search ran on them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from adaptune.spec.distributions import LogUniform, Uniform

EPOCHS = 27
START_ACCURACY = 0.1
SPACE: dict[str, LogUniform | Uniform] = {
    "loss_weights.cycle": LogUniform(search="loguniform", low=0.1, high=30.0),
    "loss_weights.identity": Uniform(search="uniform", low=0.0, high=5.0),
    "loss_weights.semantic": LogUniform(search="loguniform", low=0.01, high=10.0),
    "loss_weights.information": Uniform(search="uniform", low=0.0, high=1.0),
}
OPTIMUM = {
    "loss_weights.cycle": 3.0,
    "loss_weights.identity": 1.0,
    "loss_weights.semantic": 0.3,
    "loss_weights.information": 0.7,
}

Values = Mapping[str, float]


@dataclass(frozen=True)
class Landscape:
    """Accuracies of all configurations after each epoch.

    Attributes:
        name: name in the table of results.
        final: function from the values to the accuracy after infinitely many epochs, in [0, 1].
        rate: function from the values to the fraction, in (0, 1), of the distance to the final
            accuracy that remains after one more epoch.
        noise: standard deviation of a reported accuracy.
        fails: function from the values to whether the trial fails after its first epoch.
    """

    name: str
    final: Callable[[Values], float]
    rate: Callable[[Values], float]
    noise: float = 0.0
    fails: Callable[[Values], bool] = lambda values: False

    @property
    def best(self) -> float:
        """Highest final accuracy."""
        return self.final(OPTIMUM)

    def accuracy(self, values: Values, epoch: int, random: np.random.Generator) -> float:
        """Return the accuracy that a trial reports after an epoch, from 1; NaN if it fails."""
        if self.fails(values) and epoch > 1:
            return math.nan
        remaining = self.rate(values) ** epoch
        accuracy = START_ACCURACY + (self.final(values) - START_ACCURACY) * (1 - remaining)
        return float(np.clip(accuracy + self.noise * random.standard_normal(), 0, 1))


def squared_distance(values: Values) -> float:
    """Return the squared distance to the optimum, in units of the ranges."""
    total = 0.0
    for path, distribution in SPACE.items():
        low, high = distribution.low, distribution.high
        value, optimum = values[path], OPTIMUM[path]
        if isinstance(distribution, LogUniform):
            low, high, value, optimum = map(math.log, (low, high, value, optimum))
        total += ((value - optimum) / (high - low)) ** 2
    return total


def _hill(values: Values) -> float:
    return 0.5 + 0.45 * math.exp(-3 * squared_distance(values))


def _ridge(values: Values) -> float:
    """Return an accuracy that is flat nearly everywhere, with one narrow hill."""
    return 0.6 + 0.35 * math.exp(-30 * squared_distance(values))


def _steady_rate(values: Values) -> float:
    return 0.6


def _misleading_rate(values: Values) -> float:
    """Return a rate that is slower for better values, so that early epochs mislead."""
    return 0.3 + 0.6 * math.exp(-3 * squared_distance(values))


def _has_much_information(values: Values) -> bool:
    return values["loss_weights.information"] > 0.8


LANDSCAPES = (
    Landscape("smooth", _hill, _steady_rate),
    Landscape("noisy", _hill, _steady_rate, noise=0.02),
    Landscape("crossing", _hill, _misleading_rate, noise=0.005),
    Landscape(
        "plateau with failures", _ridge, _steady_rate, noise=0.005, fails=_has_much_information
    ),
)
