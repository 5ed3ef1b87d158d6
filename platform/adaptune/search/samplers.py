"""The samplers of a spec, as Optuna's."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    GridSampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)

from adaptune.seeding import derive_seed
from adaptune.spec.algorithms import CmaEs, Gp, Grid, Nsga2, Qmc, Random, Tpe
from adaptune.spec.distributions import Choice, Distribution, Int, LogUniform, Uniform, Value
from adaptune.spec.schema import SearchSpec


def make_sampler(spec: SearchSpec, number: int) -> BaseSampler:  # noqa: PLR0911  (one a sampler)
    """The sampler that proposes trial `number`.

    It is seeded anew for each trial: what it proposes depends on the seed and on the trials so far, not on
    how often the search was interrupted. The sequence of qmc and the grid's order belong to the whole search.
    """
    own = derive_seed(spec.seed, "sampler", number) % 2**32
    whole = derive_seed(spec.seed, "sampler") % 2**32
    startup = spec.search.startup_trials
    match spec.search.sampler:
        case Tpe(candidates=candidates):
            # In groups, values that only some trials have are modelled too.
            grouped = any(distribution.when for distribution in spec.space.values())
            return TPESampler(
                seed=own,
                n_startup_trials=startup,
                n_ei_candidates=candidates,
                multivariate=True,
                group=grouped,
            )
        case Gp():
            return GPSampler(seed=own, n_startup_trials=startup)
        case CmaEs(sigma0=sigma0, population=population):
            return CmaEsSampler(
                seed=own,
                n_startup_trials=startup,
                sigma0=sigma0,
                popsize=population,
                consider_pruned_trials=True,
                warn_independent_sampling=False,
            )
        case Qmc(sequence=sequence, scramble=scramble):
            return QMCSampler(
                seed=whole,
                qmc_type=sequence,
                scramble=scramble,
                warn_asynchronous_seeding=False,
                warn_independent_sampling=False,
            )
        case Nsga2(population=population):
            return NSGAIISampler(seed=own, population_size=population)
        case Grid(points=points):
            return _Grid(_grid(spec.space, points), seed=whole)
        case Random():
            return RandomSampler(seed=own)


def distributions(space: Mapping[str, Distribution]) -> dict[str, BaseDistribution]:
    """The spec's distributions as Optuna's."""
    return {key: _convert(distribution) for key, distribution in space.items()}


def planned_trials(spec: SearchSpec) -> int:
    """`search.trials`, or what a grid and the start points have where that is less."""
    if not isinstance(spec.search.sampler, Grid):
        return spec.search.trials
    settings = prod(
        len(values) for values in _grid(spec.space, spec.search.sampler.points).values()
    )
    return min(spec.search.trials, settings + len(spec.search.start_points))


class _Grid(GridSampler):
    def after_trial(self, *_: Any) -> None:
        """Nothing: Optuna's stops a loop that is not ours. `planned_trials` ends the search."""


def _grid(space: Mapping[str, Distribution], points: int) -> dict[str, list[Value]]:
    return {key: _spread(distribution, points) for key, distribution in space.items()}


def _spread(distribution: Distribution, points: int) -> list[Value]:
    match distribution:
        case Choice(values=values):
            return list(values)
        case Int(low=low, high=high, step=step):
            drawn = range(low, high + 1, step)
            places = np.linspace(0, len(drawn) - 1, min(points, len(drawn)))
            return [drawn[round(place)] for place in places]
        case Uniform(low=low, high=high):
            return [float(value) for value in np.linspace(low, high, points)]
        case LogUniform(low=low, high=high):
            # Rounding must not carry the ends out of the range.
            return [float(value) for value in np.geomspace(low, high, points).clip(low, high)]


def _convert(distribution: Distribution) -> BaseDistribution:
    match distribution:
        case Uniform(low=low, high=high):
            return FloatDistribution(low, high)
        case LogUniform(low=low, high=high):
            return FloatDistribution(low, high, log=True)
        case Int(low=low, high=high, step=step):
            return IntDistribution(low, high, step=step)
        case Choice(values=values):
            return CategoricalDistribution(values)
