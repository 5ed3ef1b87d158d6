"""Positions from which the next setting is chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from adaptune.curves.kernel import Array
from adaptune.curves.prior import SpacePrior

RANDOM_CANDIDATES = 384
NEAR_CANDIDATES = 64
SPREADS = (0.05, 0.15)  # of near candidates, as shares of the range


def draw_candidates(
    leaders: Array, prior: SpacePrior, fixed: Mapping[int, float], random: np.random.Generator
) -> Array:
    """Return positions to choose from, (M, P): everywhere, near the best settings and the prior.

    Args:
        leaders: positions of the best settings, (N, P).
        prior: prior of the positions.
        fixed: positions that are not to be chosen, by index.
    """
    dimensions = leaders.shape[1]
    everywhere = random.uniform(size=(RANDOM_CANDIDATES, dimensions))
    parts = [everywhere, draw_near(leaders, SPREADS, fixed, random)]
    if prior:
        parts.append(prior.draw(NEAR_CANDIDATES, dimensions, random))
    positions = np.vstack(parts)
    _fix(positions, fixed)
    return positions


def draw_near(
    centres: Array,
    spreads: Sequence[float],
    fixed: Mapping[int, float],
    random: np.random.Generator,
) -> Array:
    """Return positions near some others: `NEAR_CANDIDATES` for each of them and each spread."""
    parts = []
    for spread in spreads:
        for centre in centres:
            steps = spread * random.standard_normal((NEAR_CANDIDATES, len(centre)))
            parts.append(np.clip(centre + steps, 0, 1))
    positions = np.vstack(parts)
    _fix(positions, fixed)
    return positions


def _fix(positions: Array, fixed: Mapping[int, float]) -> None:
    for index, position in fixed.items():
        positions[:, index] = position
