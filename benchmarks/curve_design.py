"""Space-filling settings for trials that share a GAN."""

from __future__ import annotations

import math
from collections.abc import Mapping

from scipy.stats.qmc import Sobol

from adaptune.curves.kernel import Array
from adaptune.curves.space import UnitSpace
from adaptune.spec.distributions import Distribution, Value
from adaptune.spec.sharing import shared_paths

_SEEDS = {"generators": 0, "classifiers": 1}


class Design:
    """Settings of trial groups, of which the first ones fill the space as evenly as all do.

    The settings of the generators' side are the points of a Sobol sequence, one per group. Those of
    the classifiers' side are the points of another one, so that all trials of all groups differ.

    Args:
        space: distributions by dotted path.
        group_size: number of trials that share a GAN.
    """

    def __init__(self, space: Mapping[str, Distribution], group_size: int) -> None:
        shared = shared_paths(space)
        self._generators = {path: space[path] for path in shared}
        self._classifiers = {path: space[path] for path in space if path not in shared}
        self._space = space
        self._group_size = group_size

    def group(self, number: int) -> list[dict[str, Value]]:
        """Return the values of the trials of a group, by dotted path."""
        [generator] = _values(self._generators, _SEEDS["generators"], number, 1)
        first = number * self._group_size
        classifiers = _values(self._classifiers, _SEEDS["classifiers"], first, self._group_size)
        return [self._drawn(generator | classifier) for classifier in classifiers]

    def _drawn(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Return the values whose conditions are met, in the order of the space."""
        drawn = {}
        for path, distribution in self._space.items():
            if distribution.is_drawn(values):
                drawn[path] = values[path]
        return drawn


def _values(
    space: Mapping[str, Distribution], seed: int, first: int, count: int
) -> list[dict[str, Value]]:
    """Return the values at `count` points of a scrambled Sobol sequence, from point `first` on."""
    if not space:
        return [{} for _ in range(count)]
    points = sobol_points(len(space), seed, first + count)
    return [UnitSpace(space).values(point) for point in points[first:]]


def sobol_points(dimensions: int, seed: int, count: int) -> Array:
    """Return the first points of a scrambled Sobol sequence, (count, dimensions) in [0, 1)."""
    exponent = math.ceil(math.log2(count))
    points: Array = Sobol(dimensions, seed=seed).random_base2(exponent)
    return points[:count]
