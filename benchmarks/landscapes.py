"""Searches in closed form: the accuracy of a configuration after each epoch, without any training.

Each landscape is a function of four loss weights, in the ranges of `SPACE`. Its final accuracy is
highest at `OPTIMUM`. The shapes were fixed before any search ran on them. Constants of our searches
may be chosen on `LANDSCAPES`, never on `WITHHELD_LANDSCAPES`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from adaptune.spec.distributions import LogUniform, Uniform
from adaptune.spec.tree import put

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
        delay: function from the values to the epochs that pass before the accuracy rises.
        images: number of images that a reported accuracy counts; None for exact accuracies.
        luck: standard deviation of the final accuracy of a trial, by its seed.
        space: distributions of the values, by dotted path.
        epochs: epochs of a trial that is not stopped.
        classifier_share: share of f_T in the time of an epoch of a single trial: that of networks
            of 32 filters with four residual blocks at 32 px.
        shared_luck: share of the variance of luck that trials with the same GAN have in common.
    """

    space: ClassVar = SPACE
    epochs: ClassVar = EPOCHS
    classifier_share: ClassVar = 0.055
    shared_luck: ClassVar = 0.0

    name: str
    final: Callable[[Values], float]
    rate: Callable[[Values], float]
    noise: float = 0.0
    fails: Callable[[Values], bool] = lambda values: False
    delay: Callable[[Values], float] = lambda values: 0.0
    images: int | None = None
    luck: float = 0.0

    @property
    def tree(self) -> dict[str, Any]:
        """The fields of a search space file, with a domain that is never read."""
        domain = {"domain": "mnist5k", "size": 32, "channels": 1}
        tree: dict[str, Any] = {
            "data": {"source": domain, "target": domain | {"domain": "optdigits"}},
            "training": {"epochs": EPOCHS},
        }
        for path, distribution in SPACE.items():
            put(tree, path, distribution)
        return tree

    @property
    def best(self) -> float:
        """Highest final accuracy."""
        return self.final(OPTIMUM)

    def accuracy(
        self, values: Values, epoch: int, random: np.random.Generator, seed_effect: float = 0.0
    ) -> float:
        """Return the accuracy that a trial reports after an epoch, from 1; NaN if it fails.

        Args:
            random: generator of the noise of this report.
            seed_effect: standard normal number of the trial.
        """
        if self.fails(values) and epoch > 1:
            return math.nan
        accuracy = self.true_accuracy(values, epoch, seed_effect)
        if self.images is not None:
            return float(random.binomial(self.images, accuracy) / self.images)
        return float(np.clip(accuracy + self.noise * random.standard_normal(), 0, 1))

    def true_accuracy(self, values: Values, epoch: int, seed_effect: float = 0.0) -> float:
        """Return the accuracy of a trial after an epoch, without the noise of its validation."""
        epochs = max(epoch - self.delay(values), 0.0)
        final = self.final(values) + self.luck * seed_effect
        rise = (final - START_ACCURACY) * (1 - self.rate(values) ** epochs)
        return float(np.clip(START_ACCURACY + rise, 0, 1))


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


def _two_hills(values: Values) -> float:
    """Return an accuracy with a broad lower hill far from the narrow higher one."""
    cycle = math.log10(values["loss_weights.cycle"] / 0.3) / 1.5
    identity = (values["loss_weights.identity"] - 4) / 3
    broad = 0.17 * math.exp(-(cycle**2 + identity**2))
    narrow = 0.28 * math.exp(-12 * squared_distance(values))
    return 0.6 + max(broad, narrow)


def _late_start(values: Values) -> float:
    """Return a delay that grows with the cycle weight, up to 5 epochs."""
    return 2 * math.log10(values["loss_weights.cycle"] / 0.1)


def _curved_ridge(values: Values) -> float:
    """Return an accuracy that is high where cycle and identity go together, with a collapse."""
    cycle = math.log10(values["loss_weights.cycle"] / OPTIMUM["loss_weights.cycle"])
    identity = values["loss_weights.identity"] - OPTIMUM["loss_weights.identity"]
    across = identity - 2 * cycle - cycle**2
    semantic = math.log10(values["loss_weights.semantic"] / OPTIMUM["loss_weights.semantic"])
    accuracy = 0.55 + 0.38 * math.exp(-(0.4 * across**2) - 0.15 * cycle**2 - 0.2 * semantic**2)
    has_collapsed = values["loss_weights.semantic"] > 3 and values["loss_weights.cycle"] < 1
    return 0.4 if has_collapsed else accuracy


def _rate_of_information(values: Values) -> float:
    """Return a rate that a weight decides which hardly changes the final accuracy."""
    return 0.85 - 0.3 * values["loss_weights.information"]


def _gentle_slope(values: Values) -> float:
    """Return an accuracy of which loss weights decide little."""
    return 0.70 + 0.06 * math.exp(-2 * squared_distance(values))


def _slow_rate(values: Values) -> float:
    return 0.88


WITHHELD_LANDSCAPES = (
    Landscape("two hills, late starts", _two_hills, _steady_rate, delay=_late_start, images=400),
    Landscape("curved ridge with collapses", _curved_ridge, _rate_of_information, images=400),
    Landscape("mostly seed", _gentle_slope, _slow_rate, images=400, luck=0.02),
)
