"""Settings of trials as positions in the unit cube, and as what the kernel compares."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from adaptune.curves.kernel import Array
from adaptune.curves.prior import PositionPrior, SpacePrior
from adaptune.spec.distributions import Choice, Distribution, Int, LogUniform, Value, is_same
from adaptune.spec.priors import Belief

_NOT_DRAWN = 0.5
_DIFFERENT_CHOICES = math.sqrt(0.5)  # so that two of them are at a distance of 1


class UnitSpace:
    """The searched values of a spec.

    Args:
        space: distributions by dotted path.
    """

    def __init__(self, space: Mapping[str, Distribution]) -> None:
        self._space = dict(space)

    def positions(self, values: Mapping[str, Value]) -> tuple[float, ...]:
        """Return the positions of values, each in [0, 1]; 0.5 for one that is not drawn."""
        positions = []
        for path, distribution in self._space.items():
            position = _NOT_DRAWN
            if path in values:
                position = _position(values[path], distribution)
            positions.append(position)
        return tuple(positions)

    def fixed(self, values: Mapping[str, Value]) -> dict[int, float]:
        """Return the positions of some values by their indices."""
        fixed = {}
        for index, (path, distribution) in enumerate(self._space.items()):
            if path in values:
                fixed[index] = _position(values[path], distribution)
        return fixed

    def values(self, positions: Array) -> dict[str, Value]:
        """Return the values at positions (P,), those of unmet conditions included."""
        values = {}
        for position, (path, distribution) in zip(positions, self._space.items(), strict=True):
            values[path] = _value(float(position), distribution)
        return values

    def position(self, path: str, value: Value) -> float:
        """Return the position of a value in [0, 1]."""
        return _position(value, self._space[path])

    def value(self, path: str, position: float) -> Value:
        """Return the value at a position in [0, 1]."""
        return _value(position, self._space[path])

    def priors(self, beliefs: Mapping[str, Belief]) -> dict[str, PositionPrior]:
        """Return priors of positions, by dotted path."""
        priors = {}
        for path, belief in beliefs.items():
            distribution = self._space[path]
            assert not isinstance(distribution, Choice)
            zero = _share_of_zero(distribution)
            mean = (self.position(path, belief.center) - zero) / (1 - zero)
            priors[path] = PositionPrior(mean, belief.spread / distribution.width, zero)
        return priors

    def space_prior(self, beliefs: Mapping[str, Belief]) -> SpacePrior:
        """Return the prior of positions (P,)."""
        paths = list(self._space)
        priors = self.priors(beliefs)
        return SpacePrior({paths.index(path): prior for path, prior in priors.items()})

    def features(self, positions: Array) -> Array:
        """Return what the kernel compares, (M, D), for positions (M, P).

        Each value of a choice is a dimension of its own. A value whose condition is not met does
        not count. A 0 below a logarithmic range is at its lower end, in a dimension that tells it
        from the range.
        """
        columns = []
        for index, (path, distribution) in enumerate(self._space.items()):
            column = positions[:, index]
            if isinstance(distribution, Choice):
                chosen = _choice_index(column, distribution)
                for choice in range(len(distribution.values)):
                    columns.append(_DIFFERENT_CHOICES * (chosen == choice))
                continue
            is_drawn = self._is_drawn(path, positions)
            zero = _share_of_zero(distribution)
            in_range = np.maximum(column - zero, 0) / (1 - zero)
            columns.append(np.where(is_drawn, in_range, _NOT_DRAWN))
            if zero:
                columns.append(_DIFFERENT_CHOICES * (column < zero) * is_drawn)
        return np.stack(columns, axis=1).astype(np.float64)

    def _is_drawn(self, path: str, positions: Array) -> Array:
        """Return whether a value is drawn at positions (M, P), as 0 or 1: (M,)."""
        drawn = np.ones(len(positions))
        paths = list(self._space)
        for other, allowed in self._space[path].when.items():
            choice = self._space[other]
            assert isinstance(choice, Choice)
            chosen = _choice_index(positions[:, paths.index(other)], choice)
            met = [index for index, value in enumerate(choice.values) if value in allowed]
            drawn *= np.isin(chosen, met)
        return drawn


def _position(value: Value, distribution: Distribution) -> float:
    if isinstance(distribution, Choice):
        matches = [is_same(value, listed) for listed in distribution.values]
        return (matches.index(True) + 0.5) / len(matches)
    low, high = float(distribution.low), float(distribution.high)
    assert isinstance(value, int | float)
    if isinstance(distribution, LogUniform):
        zero = distribution.zero
        if value == 0:
            return zero / 2
        return zero + (1 - zero) * math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def _value(position: float, distribution: Distribution) -> Value:
    if isinstance(distribution, Choice):
        count = len(distribution.values)
        return distribution.values[min(int(position * count), count - 1)]
    low, high = distribution.low, distribution.high
    if isinstance(distribution, LogUniform):
        zero = distribution.zero
        if position < zero:
            return 0.0
        value = low * math.exp((position - zero) / (1 - zero) * math.log(high / low))
        return min(max(value, low), high)  # rounding must not leave the range
    value = low + position * (high - low)
    if isinstance(distribution, Int):
        drawable = distribution.drawable()
        step = round((value - low) / distribution.step)
        return drawable[min(step, len(drawable) - 1)]
    return value


def _share_of_zero(distribution: Distribution) -> float:
    """Return the share of the positions that stand for 0, from position 0 on."""
    return distribution.zero if isinstance(distribution, LogUniform) else 0.0


def _choice_index(positions: Array, choice: Choice) -> Array:
    count = len(choice.values)
    return np.minimum((positions * count).astype(np.int64), count - 1).astype(np.float64)
