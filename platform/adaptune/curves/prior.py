"""Priors of settings in the unit cube, which weigh less and less (πBO, Hvarfner et al. 2022)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from adaptune.curves.kernel import Array

_UNIFORM = 0.2  # share of a prior that is uniform, so that a wrong one is found out


@dataclass(frozen=True)
class PositionPrior:
    """A normal distribution of positions in a range, cut off at both ends, and a uniform part.

    Attributes:
        mean: share of the range.
        std: share of the range.
        zero: share of the positions that come before the range and stand for 0. The prior leaves
            their probability as it is.
    """

    mean: float
    std: float
    zero: float = 0.0

    def log_density(self, positions: Array) -> Array:
        """Return the logarithms of the densities at positions (M,): (M,)."""
        shares = (positions - self.zero) / (1 - self.zero)
        low, high = self._cut_off()
        scale = self.std * math.sqrt(2 * math.pi) * (high - low)
        normal = np.exp(-0.5 * ((shares - self.mean) / self.std) ** 2) / scale
        in_range = np.log(_UNIFORM + (1 - _UNIFORM) * normal)
        density: Array = np.where(positions < self.zero, 0.0, in_range)
        return density

    def draws(self, uniform: Array) -> Array:
        """Return a random position for each uniform random number in [0, 1): (M,)."""
        low, high = self._cut_off()
        of_range = np.maximum(uniform - self.zero, 0) / (1 - self.zero)
        of_normal = np.maximum(of_range - _UNIFORM, 0) / (1 - _UNIFORM)
        normal = self.mean + self.std * ndtri(low + of_normal * (high - low))
        shares = np.where(of_range < _UNIFORM, of_range / _UNIFORM, np.clip(normal, 0, 1))
        positions = self.zero + (1 - self.zero) * shares
        result: Array = np.where(uniform < self.zero, uniform, positions)
        return result

    def _cut_off(self) -> tuple[float, float]:
        """Return the cumulative probability at both ends of the range."""
        return float(ndtr(-self.mean / self.std)), float(ndtr((1 - self.mean) / self.std))


class SpacePrior:
    """The priors of several settings; those without any are uniform.

    Args:
        priors: by index of the position.
    """

    def __init__(self, priors: Mapping[int, PositionPrior]) -> None:
        self._priors = dict(priors)

    def __bool__(self) -> bool:
        return bool(self._priors)

    def log_density(self, positions: Array) -> Array:
        """Return the logarithms of the densities at positions (M, P): (M,)."""
        density = np.zeros(len(positions))
        for index, prior in self._priors.items():
            density += prior.log_density(positions[:, index])
        return density

    def draw(self, count: int, dimensions: int, random: np.random.Generator) -> Array:
        """Return random positions, (count, dimensions)."""
        positions: Array = random.uniform(size=(count, dimensions))
        for index, prior in self._priors.items():
            positions[:, index] = prior.draws(positions[:, index])
        return positions


def prior_weight(startup: int, ended: int) -> float:
    """Return the weight of a prior: 1 until the first proposal by a model, then like 1/n.

    Args:
        startup: ended trials before the first proposal by a model.
        ended: trials that have ended, n.
    """
    return startup / max(startup, ended)
