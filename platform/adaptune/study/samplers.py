"""Optuna's samplers for a spec."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    GridSampler,
    NSGAIISampler,
    PartialFixedSampler,
    QMCSampler,
    RandomSampler,
)

from adaptune.seeding import derive_seed
from adaptune.spec.algorithms import CmaEs, Curves, Gp, Grid, Nsga2, Qmc, Random, Tpe
from adaptune.spec.distributions import Value
from adaptune.spec.priors import beliefs
from adaptune.spec.schema import SearchSpec
from adaptune.study.curves import CurveSampler, StudyCurves
from adaptune.study.parameters import distributions, encode
from adaptune.study.priors import ParameterPriors, PriorTPESampler
from adaptune.study.tpe import FailureAwareTPESampler


def make_sampler(  # noqa: PLR0911  (one per sampler)
    spec: SearchSpec, number: int, curves: StudyCurves
) -> BaseSampler:
    """Return the sampler that proposes trial `number`.

    Each trial has a seed of its own: the proposal depends on the seed and on the trials so far, not
    on how often the search was interrupted. The sequence of qmc and the order of a grid belong to
    the whole search.

    Args:
        number: number of the trial.
        curves: learning curves of the study.
    """
    trial_seed = derive_seed(spec.seed, "sampler", number) % 2**32
    search_seed = derive_seed(spec.seed, "sampler") % 2**32
    startup_trials = spec.search.startup_trials
    match spec.search.sampler:
        case Tpe() as options:
            return _tpe(options, spec, trial_seed)
        case Curves():
            tpe = _tpe(Tpe(), spec, trial_seed)
            return CurveSampler(curves, distributions(spec.space), tpe, trial_seed)
        case Gp():
            return GPSampler(seed=trial_seed, n_startup_trials=startup_trials)
        case CmaEs(sigma0=sigma0, population=population):
            return CmaEsSampler(
                seed=trial_seed,
                n_startup_trials=startup_trials,
                sigma0=sigma0,
                popsize=population,
                consider_pruned_trials=True,
                warn_independent_sampling=False,
            )
        case Qmc(sequence=sequence, scramble=scramble):
            return QMCSampler(
                seed=search_seed,
                qmc_type=sequence,
                scramble=scramble,
                warn_asynchronous_seeding=False,
                warn_independent_sampling=False,
            )
        case Nsga2(population=population):
            return NSGAIISampler(seed=trial_seed, population_size=population)
        case Grid(points=points):
            grid = {}
            for path, distribution in spec.space.items():
                values = distribution.grid_values(points)
                grid[path] = [encode(spec.space, {path: value})[path] for value in values]
            return EndlessGridSampler(grid, seed=search_seed)
        case Random():
            return RandomSampler(seed=trial_seed)


def _tpe(options: Tpe, spec: SearchSpec, seed: int) -> BaseSampler:
    startup_trials = spec.search.startup_trials
    # In groups, values that only some trials have are modelled too.
    group = any(distribution.when for distribution in spec.space.values())
    priors = beliefs(spec.space, spec.method)
    if priors:
        return PriorTPESampler(
            ParameterPriors(spec.space, priors),
            seed=seed,
            startup_trials=startup_trials,
            candidates=options.candidates,
            group=group,
        )
    return FailureAwareTPESampler(
        seed=seed,
        n_startup_trials=startup_trials,
        n_ei_candidates=options.candidates,
        multivariate=True,
        group=group,
    )


def fix_parameters(sampler: BaseSampler, parameters: Mapping[str, Value]) -> BaseSampler:
    """Return a sampler that proposes the other parameters only."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # of the class
        return PartialFixedSampler(dict(parameters), sampler)


class EndlessGridSampler(GridSampler):
    """A grid sampler for ask-and-tell. Optuna's would stop a loop of `optimize`, which is not used.

    `SearchSpec.planned_trials` ends the search.
    """

    def after_trial(self, *_: object) -> None:
        """Do nothing after a trial."""
