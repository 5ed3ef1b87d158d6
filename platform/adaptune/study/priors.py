"""Optuna's TPE, which begins around the priors of a search."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import RandomSampler
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator
from optuna.study import Study
from optuna.trial import FrozenTrial

from adaptune.curves.kernel import Array
from adaptune.curves.prior import prior_weight
from adaptune.curves.space import UnitSpace
from adaptune.spec.distributions import Distribution, Value
from adaptune.spec.priors import Belief
from adaptune.study.parameters import decode, encode
from adaptune.study.tpe import FailureAwareTPESampler


class ParameterPriors:
    """The priors of a search, for parameters of Optuna.

    Args:
        space: the searched values, by dotted path.
        beliefs: priors by dotted path.
    """

    def __init__(self, space: Mapping[str, Distribution], beliefs: Mapping[str, Belief]) -> None:
        self._space = space
        self._unit_space = UnitSpace(space)
        self._priors = self._unit_space.priors(beliefs)

    def __contains__(self, path: str) -> bool:
        return path in self._priors

    def draw(self, path: str, uniform: float) -> Value:
        """Return a random parameter for a uniform random number in [0, 1)."""
        position = float(self._priors[path].draws(np.array([uniform]))[0])
        value = self._unit_space.value(path, position)
        return encode(self._space, {path: value})[path]

    def log_density(self, parameters: Mapping[str, Array]) -> Array:
        """Return the logarithms of the densities of proposals.

        Args:
            parameters: of M proposals by path, (M,) each.

        Returns:
            (M,)
        """
        count = len(next(iter(parameters.values())))
        density = np.zeros(count)
        for path in self._priors.keys() & parameters.keys():
            positions = []
            for parameter in parameters[path]:
                value = decode(self._space, {path: float(parameter)})[path]
                positions.append(self._unit_space.position(path, value))
            density += self._priors[path].log_density(np.array(positions))
        return density


class PriorTPESampler(FailureAwareTPESampler):
    """TPE that draws its random trials from the priors, and then weights its candidates by them.

    The logarithm of the density of the prior is added to the criterion of a candidate, with a
    weight that fades as trials end.

    Args:
        priors: priors of the search.
        seed: seed of the proposal.
        startup_trials: trials that are random.
        candidates: candidates per proposal.
        group: whether values that only some trials have are modelled apart.
    """

    def __init__(
        self,
        priors: ParameterPriors,
        *,
        seed: int,
        startup_trials: int,
        candidates: int,
        group: bool,
    ) -> None:
        super().__init__(
            seed=seed,
            n_startup_trials=startup_trials,
            n_ei_candidates=candidates,
            multivariate=True,
            group=group,
        )
        self._priors = priors
        self._prior_weight = 1.0
        self._random_sampler = _PriorRandomSampler(priors, seed)

    def _sample(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, object]:
        ended = sum(other.state.is_finished() for other in study.get_trials(deepcopy=False))
        self._prior_weight = prior_weight(self._n_startup_trials, ended)
        return super()._sample(study, trial, search_space)

    def _compute_acquisition_func(
        self,
        samples: dict[str, Array],
        mpe_below: _ParzenEstimator,
        mpe_above: _ParzenEstimator,
    ) -> Array:
        values = super()._compute_acquisition_func(samples, mpe_below, mpe_above)
        return values + self._prior_weight * self._priors.log_density(samples)


class _PriorRandomSampler(RandomSampler):
    """Random values, from the priors where there are any."""

    def __init__(self, priors: ParameterPriors, seed: int) -> None:
        super().__init__(seed=seed)
        self._priors = priors

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> object:
        """Return a random value of a parameter."""
        if param_name not in self._priors:
            return super().sample_independent(study, trial, param_name, param_distribution)
        return self._priors.draw(param_name, self._rng.rng.uniform())
