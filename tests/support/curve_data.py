"""Learning curves for tests of their model."""

from __future__ import annotations

import numpy as np

from adaptune.curves.model import Observations

HORIZON = 9


def observe(trials: int, seed: int = 0, noise: float = 0.01) -> Observations:
    """Epochs 1, 3 and 9 of trials whose first setting decides and whose second does not."""
    random = np.random.default_rng(seed)
    settings = random.uniform(size=(trials, 2))
    rows = []
    for trial, position in enumerate(settings):
        for epoch in (1, 3, HORIZON):
            value = (1 - 0.7**epoch) * np.sin(3 * position[0]) + noise * random.normal()
            rows.append((trial, epoch, value))
    numbers, epochs, values = (np.array(column) for column in zip(*rows, strict=True))
    return Observations(settings[numbers], epochs, numbers, values, np.full(len(rows), noise**2))
