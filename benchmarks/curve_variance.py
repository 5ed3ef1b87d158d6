"""Shares of settings, seed and chance in the variance of recorded accuracies.

Variances are those of log odds: accuracies near 1 hardly vary, and a single trial that collapses
would outweigh all others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from curve_table import Curves

from adaptune.curves.kernel import Array
from adaptune.curves.search import logit

_FEWEST_EPOCHS = 3


@dataclass(frozen=True)
class Variances:
    """Components of the variance of a value after an epoch, over settings and seeds.

    Attributes:
        generators: of the settings of the generators' side.
        classifiers: of the settings of the classifiers' side, within a group.
        seed: of the seed, the same for all settings.
        gan: of the chance of a GAN: what the seed does to all trials of a group.
        chance: of the chance of a trial, and the noise of its validation.
    """

    generators: float
    classifiers: float
    seed: float
    gan: float
    chance: float

    @property
    def total(self) -> float:
        """Sum of all."""
        return self.generators + self.classifiers + self.seed + self.gan + self.chance


def log_odds(curves: Curves) -> Array:
    """Return the log odds of all accuracies, (T, E)."""
    return logit(curves.accuracies, curves.recipe.images)[0]


def cube(curves: Curves, values: Array) -> Array:
    """Return the values (T, E) of the groups that all seeds share: (S, G, M, E).

    Groups with a failed trial are left out. Without any group, G is 0.
    """
    seeds = sorted(set(curves.seeds.tolist()))
    size = int(curves.trials.max()) + 1
    places = zip(curves.seeds, curves.groups, curves.trials, strict=True)
    found = {tuple(map(int, place)): row for row, place in enumerate(places)}
    blocks = []
    for group in sorted(set(curves.groups.tolist())):
        keys = [[(seed, group, trial) for trial in range(size)] for seed in seeds]
        if all(key in found for row in keys for key in row):
            rows = np.array([[found[key] for key in row] for row in keys])
            blocks.append(values[rows])
    if not blocks:
        return np.empty((len(seeds), 0, size, curves.epochs))
    return np.stack(blocks, axis=1)


def variances(values: Array) -> Variances | None:
    """Return the components from values of all seeds after an epoch, (S, G, M).

    It is the analysis of variance with random effects: seeds cross groups, in which trials are
    nested. A component that comes out negative is 0. It needs two of each; otherwise None.
    """
    seeds, groups, size = values.shape
    if min(seeds, groups, size) < 2:
        return None
    mean = values.mean()
    of_seed = values.mean(axis=(1, 2), keepdims=True)
    of_group = values.mean(axis=(0, 2), keepdims=True)
    of_trial = values.mean(axis=0, keepdims=True)
    of_gan = values.mean(axis=2, keepdims=True)
    rest = values - of_trial - of_gan + of_group
    interaction = of_gan - of_seed - of_group + mean
    ms_seed = groups * size * _mean_square(of_seed - mean, seeds - 1)
    ms_group = seeds * size * _mean_square(of_group - mean, groups - 1)
    ms_trial = seeds * _mean_square(of_trial - of_group, groups * (size - 1))
    ms_gan = size * _mean_square(interaction, (groups - 1) * (seeds - 1))
    ms_rest = _mean_square(rest, groups * (size - 1) * (seeds - 1))
    return Variances(
        generators=max(ms_group - ms_trial - ms_gan + ms_rest, 0.0) / (seeds * size),
        classifiers=max(ms_trial - ms_rest, 0.0) / seeds,
        seed=max(ms_seed - ms_gan, 0.0) / (groups * size),
        gan=max(ms_gan - ms_rest, 0.0) / size,
        chance=ms_rest,
    )


def _mean_square(effects: Array, freedom: int) -> float:
    return float((effects**2).sum()) / freedom


def jitter(values: Array) -> float:
    """Return the standard deviation from epoch to epoch around a smooth curve, of (T, E).

    It is that of the differences between an epoch and the mean of its two neighbours, in the
    second half of the curves, where they hardly bend. 0 for fewer than three epochs there.
    """
    late = values[:, values.shape[1] // 2 :]
    if late.shape[1] < _FEWEST_EPOCHS:
        return 0.0
    bends = late[:, 1:-1] - (late[:, :-2] + late[:, 2:]) / 2
    return float(np.sqrt((bends**2).mean() / 1.5))


@dataclass(frozen=True)
class Luck:
    """The effect of the seed on one setting and not on all, without the jitter.

    Attributes:
        deviations: standard deviation of the log odds after each epoch, (E,).
        shared: share of the variance that the trials of a group have in common, in [0, 1].
    """

    deviations: Array
    shared: float


def luck(curves: Curves) -> Luck:
    """Return the luck of the trials; it is 0 unless two seeds share two groups."""
    values = cube(curves, log_odds(curves))
    noise = jitter(log_odds(curves)) ** 2
    of_gan, of_trial = np.zeros(curves.epochs), np.zeros(curves.epochs)
    for epoch in range(curves.epochs):
        parts = variances(values[..., epoch])
        if parts is not None:
            of_gan[epoch] = parts.gan
            of_trial[epoch] = max(parts.chance - noise, 0.0)
    total = of_gan + of_trial
    shared = float(of_gan.sum() / total.sum()) if total.any() else 0.0
    return Luck(np.sqrt(total), shared)


def without_seed_effects(curves: Curves) -> Array:
    """Return the log odds as under the first seed, (T, E): the mean effects of others removed.

    The effect of a seed is known from the trials that it shares with the first one.
    """
    values = log_odds(curves)
    first = int(curves.seeds.min())
    for seed in set(curves.seeds.tolist()) - {first}:
        is_of_pair = np.isin(curves.seeds, [first, seed])
        shared = cube(curves.where(is_of_pair), values[is_of_pair])
        if shared.size:
            effect = shared[1].mean(axis=(0, 1)) - shared[0].mean(axis=(0, 1))
            values[curves.seeds == seed] -= effect
    return values
