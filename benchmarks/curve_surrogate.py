"""Models of recorded curves: from the settings to the log odds of the accuracies of all epochs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from curve_design import sobol_points
from curve_table import Curves
from curve_variance import without_seed_effects
from scipy.special import expit
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.neighbors import KNeighborsRegressor

from adaptune.curves.kernel import Array
from adaptune.curves.space import UnitSpace
from adaptune.spec.distributions import Value

_CANDIDATES = 2**13
_ROUNDS = (0.1, 0.03, 0.01)  # widths of a local search, in units of the ranges
_KEPT, _MUTANTS = 16, 64


def _gaussian_process(dimensions: int) -> GaussianProcessRegressor:
    """Return a Gaussian process whose kernel all epochs share."""
    lengths = np.full(dimensions, 0.5)
    matern = Matern(lengths, length_scale_bounds=(0.05, 20.0), nu=2.5)
    noise = WhiteKernel(0.1, noise_level_bounds=(1e-4, 10.0))
    kernel = ConstantKernel(1.0, constant_value_bounds=(1e-2, 1e2)) * matern + noise
    return GaussianProcessRegressor(kernel, normalize_y=True)


def _neighbours(_: int, count: int) -> KNeighborsRegressor:
    return KNeighborsRegressor(count, weights="distance")


def _forest(_: int) -> ExtraTreesRegressor:
    return ExtraTreesRegressor(100, min_samples_leaf=2, random_state=0)


MODELS: Mapping[str, Callable[[int], Any]] = {
    "Gaussian process": _gaussian_process,
    "nearest neighbour": partial(_neighbours, count=1),
    "5 nearest neighbours": partial(_neighbours, count=5),
    "forest": _forest,
}


def left_out(curves: Curves, model: str) -> Array:
    """Return the log odds that a model predicts for each group from all others, (T, E).

    Trials of other seeds count as if they had the first one.
    """
    features = _features(curves)
    regressor = MODELS[model](features.shape[1])
    # As a list, the parts need no groups, which scikit-learn refuses if metadata are routed.
    parts = list(LeaveOneGroupOut().split(features, groups=curves.groups))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound
        predictions: Array = cross_val_predict(
            regressor, features, without_seed_effects(curves), cv=parts
        )
    return predictions


def explained(values: Array, predictions: Array) -> Array:
    """Return R² of predictions after each epoch, (E,), from two (T, E); NaN without variance."""
    errors = ((values - predictions) ** 2).mean(axis=0)
    variance = values.var(axis=0)
    return np.where(variance > 0, 1 - errors / np.where(variance > 0, variance, 1), np.nan)


def left_out_by_all(curves: Curves) -> dict[str, Array]:
    """Return what `left_out` does, by model."""
    return {name: left_out(curves, name) for name in MODELS}


def best_model(curves: Curves, predictions: Mapping[str, Array]) -> str:
    """Return the name of the model with the smallest error over all epochs.

    Args:
        predictions: log odds for groups that each model has not seen, see `left_out_by_all`.
    """
    values = without_seed_effects(curves)
    errors = {}
    for name, prediction in predictions.items():
        errors[name] = float(((prediction - values) ** 2).mean())
    return min(errors, key=errors.__getitem__)


class Surrogate:
    """A fitted model of recorded curves.

    Args:
        model: a key of `MODELS`.
    """

    def __init__(self, curves: Curves, model: str) -> None:
        self._space = UnitSpace(curves.recipe.spec().space)
        features = _features(curves)
        self._regressor = MODELS[model](features.shape[1])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._regressor.fit(features, without_seed_effects(curves))

    def at(self, values: Mapping[str, Value]) -> Array:
        """Return the accuracies of a setting after each epoch, (E,)."""
        return self.curves(np.array([self._space.positions(values)]))[0]

    def curves(self, positions: Array) -> Array:
        """Return the accuracies at positions (N, P) in the unit cube: (N, E)."""
        predictions = self._regressor.predict(self._space.features(positions))
        accuracies: Array = expit(predictions.reshape(len(positions), -1))
        return accuracies

    def highest(self, recorded: Sequence[Mapping[str, Value]]) -> float:
        """Return about the highest accuracy of any setting after any epoch.

        Args:
            recorded: settings from which the search starts, too.
        """
        known = np.array([self._space.positions(values) for values in recorded])
        spread = sobol_points(known.shape[1], seed=2, count=_CANDIDATES)
        positions = np.concatenate([known, spread])
        random = np.random.default_rng(0)
        for width in _ROUNDS:
            best = positions[np.argsort(self.curves(positions).max(axis=1))[-_KEPT:]]
            steps = width * random.standard_normal((_MUTANTS, *best.shape))
            mutants = np.clip(best + steps, 0.0, 1.0).reshape(-1, best.shape[1])
            positions = np.concatenate([best, mutants])
        return float(self.curves(positions).max())


def _features(curves: Curves) -> Array:
    space = UnitSpace(curves.recipe.spec().space)
    return space.features(np.array([space.positions(values) for values in curves.values]))
