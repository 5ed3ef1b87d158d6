"""Searches in closed form: how good a setting is after an epoch, without any training.

Each is a function of four loss weights, in the ranges of `SPACE`, and has its highest final value, `best`,
at the optimum. The shapes were fixed before any search ran on them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

EPOCHS = 27
SPACE = {
    "loss_weights.cycle": {"search": "loguniform", "low": 0.1, "high": 30.0},
    "loss_weights.identity": {"search": "uniform", "low": 0.0, "high": 5.0},
    "loss_weights.semantic": {"search": "loguniform", "low": 0.01, "high": 10.0},
    "loss_weights.information": {"search": "uniform", "low": 0.0, "high": 1.0},
}
OPTIMUM = {"cycle": 3.0, "identity": 1.0, "semantic": 0.3, "information": 0.7}

Values = Mapping[str, float]


@dataclass(frozen=True)
class Landscape:
    """`final(values)` is the accuracy at the end, `curve(values, epoch)` on the way there."""

    name: str
    final: Callable[[Values], float]
    rate: Callable[[Values], float]  # part of the way that an epoch leaves undone, in (0, 1)
    noise: float = 0.0
    fails: Callable[[Values], bool] = lambda values: False

    @property
    def best(self) -> float:
        """The highest final accuracy."""
        return self.final({f"loss_weights.{name}": value for name, value in OPTIMUM.items()})

    def curve(self, values: Values, epoch: int, draw: np.random.Generator) -> float:
        """What a trial says after an epoch, from 1; NaN where its training breaks down."""
        if self.fails(values) and epoch > 1:
            return math.nan
        start = 0.1
        true = start + (self.final(values) - start) * (1 - self.rate(values) ** epoch)
        return float(np.clip(true + self.noise * draw.standard_normal(), 0, 1))


def _distance(values: Values) -> float:
    """Squared, from the optimum, in units of the ranges."""
    total = 0.0
    for name, distribution in SPACE.items():
        low, high, at, best = (
            distribution["low"],
            distribution["high"],
            values[name],
            OPTIMUM[name.split(".")[1]],
        )
        if distribution["search"] == "loguniform":
            low, high, at, best = map(math.log, (low, high, at, best))
        total += ((at - best) / (high - low)) ** 2
    return total


def _hill(values: Values) -> float:
    return 0.5 + 0.45 * math.exp(-3 * _distance(values))


def _ridge(values: Values) -> float:
    """Flat nearly everywhere, and a narrow hill."""
    return 0.6 + 0.35 * math.exp(-30 * _distance(values))


LANDSCAPES = (
    Landscape("smooth", _hill, lambda values: 0.6),
    Landscape("noisy", _hill, lambda values: 0.6, noise=0.02),
    # The better the setting, the slower it starts: early epochs mislead.
    Landscape(
        "crossing", _hill, lambda values: 0.3 + 0.6 * math.exp(-3 * _distance(values)), noise=0.005
    ),
    Landscape(
        "plateau with failures",
        _ridge,
        lambda values: 0.6,
        noise=0.005,
        fails=lambda values: values["loss_weights.information"] > 0.8,
    ),
)
