"""A Gaussian process over the settings and the epochs of a search.

The value y of a trial with settings λ after epoch t is

    y(λ, t) = c + m(t) + g(λ, t) + s(t) + noise,

with a constant c, a mean curve m, the effect g of the settings, the effect s of the trial's seed,
and a noise whose variance is known from the number of images up to a part that is fitted. All
curves begin as f_S does: m, g and s are 0 at epoch 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.stats import spearmanr

from adaptune.curves.kernel import (
    Array,
    IntArray,
    Kernel,
    epoch_kernel,
    matern,
    mean_curve_kernel,
)

JITTER = 1e-6
_DRAW_JITTER = 1e-5  # of standardised values; settings that are almost equal need it


@dataclass(frozen=True)
class Observations:
    """Values of trials after epochs.

    Attributes:
        settings: in the unit cube, (N, D).
        epochs: (N,).
        trials: number of the trial, (N,).
        values: (N,).
        variances: known variance of the noise, (N,).
    """

    settings: Array
    epochs: IntArray
    trials: IntArray
    values: Array
    variances: Array

    def subset(self, chosen: IntArray | NDArray[np.bool_]) -> Observations:
        """Return some of the observations."""
        return Observations(
            self.settings[chosen],
            self.epochs[chosen],
            self.trials[chosen],
            self.values[chosen],
            self.variances[chosen],
        )


@dataclass(frozen=True)
class Scale:
    """The transformation of values to mean 0 and standard deviation 1."""

    mean: float
    std: float

    @classmethod
    def of(cls, values: Array) -> Scale:
        """Return the scale of these values."""
        return cls(float(values.mean()), max(float(values.std()), 1e-3))

    def standardise(self, observations: Observations) -> Observations:
        """Return the observations in this scale."""
        return replace(
            observations,
            values=(observations.values - self.mean) / self.std,
            variances=observations.variances / self.std**2,
        )


class CurveModel:
    """The model, conditioned on observations.

    Args:
        observations: values so far, of one trial or more.
        kernel: kernel that `fit_kernel` returned.
        horizon: number of the last epoch of a trial.
    """

    def __init__(self, observations: Observations, kernel: Kernel, horizon: int) -> None:
        self._kernel = kernel
        self._horizon = horizon
        self._scale = Scale.of(observations.values)
        self._observations = self._scale.standardise(observations)
        self._condition()

    def _condition(self) -> None:
        covariance = _covariance(self._observations, self._kernel, self._horizon)
        self._factor = cho_factor(covariance, lower=True)
        self._weights = cho_solve(self._factor, self._observations.values)

    def predict(self, settings: Array, epoch: int) -> tuple[Array, Array]:
        """Return mean and standard deviation of c + m + g for settings (M, D): (M,) each."""
        return self._predict(settings, epoch, None)

    def predict_trials(self, settings: Array, trials: IntArray, epoch: int) -> tuple[Array, Array]:
        """Return the same for trials, with the effect of their seeds.

        Args:
            settings: of the trials, (M, D).
            trials: their numbers, (M,).
        """
        return self._predict(settings, epoch, trials)

    def draw(self, settings: Array, epoch: int, count: int, random: np.random.Generator) -> Array:
        """Return random values of c + m + g for settings (M, D), drawn together: (count, M)."""
        kernel = self._kernel
        means, _ = self._predict(settings, epoch, None)
        own_epoch = np.full(len(settings), epoch)
        prior = _of_settings(settings, settings, own_epoch, own_epoch, kernel, self._horizon)
        known = self._observations
        cross = _of_settings(
            settings, known.settings, own_epoch, known.epochs, kernel, self._horizon
        )
        explained = solve_triangular(self._factor[0], cross.T, lower=True)
        covariance = prior - explained.T @ explained
        covariance[np.diag_indices_from(covariance)] += _DRAW_JITTER
        root = np.linalg.cholesky(covariance)
        draws: Array = random.standard_normal((count, len(settings))) @ root.T
        return means + self._scale.std * draws

    def _predict(self, settings: Array, epoch: int, trials: IntArray | None) -> tuple[Array, Array]:
        known = self._observations
        kernel = self._kernel
        own_epoch = np.array([epoch])
        time = epoch_kernel(own_epoch, known.epochs, kernel.epoch_length, self._horizon)
        mean_curve = mean_curve_kernel(own_epoch, known.epochs, self._horizon)
        effects = kernel.settings_std**2 * matern(settings, known.settings, kernel.lengths)
        variance = kernel.settings_std**2
        if trials is not None:
            effects += kernel.seed_std**2 * (trials[:, None] == known.trials[None, :])
            variance += kernel.seed_std**2
        cross = time * effects + mean_curve + 1
        own_time = epoch_kernel(own_epoch, own_epoch, kernel.epoch_length, self._horizon)[0, 0]
        own_mean = mean_curve_kernel(own_epoch, own_epoch, self._horizon)[0, 0]
        explained = solve_triangular(self._factor[0], cross.T, lower=True)
        variances = variance * own_time + own_mean + 1 - (explained**2).sum(axis=0)
        mean = self._scale.mean + self._scale.std * (cross @ self._weights)
        return mean, self._scale.std * np.sqrt(np.maximum(variances, 1e-12))

    def leave_one_out_correlation(self) -> float:
        """Return the rank correlation of the trials' last values with predictions without them.

        The mean curve is subtracted from both: later epochs have higher values in all trials.
        """
        known = self._observations
        common = mean_curve_kernel(known.epochs, known.epochs, self._horizon) + 1
        mean_curve = common @ self._weights
        predicted, observed = [], []
        for trial, prediction in self.predictions_without_own().items():
            last = self._last_of(trial)
            predicted.append(prediction - mean_curve[last])
            observed.append(known.values[last] - mean_curve[last])
        if len(predicted) < 3 or np.ptp(predicted) == 0 or np.ptp(observed) == 0:
            return 0.0
        return float(spearmanr(predicted, observed).statistic)

    def predictions_without_own(self) -> dict[int, float]:
        """Return the predicted last value of each trial by the others, in standardised values."""
        known = self._observations
        precision = cho_solve(self._factor, np.eye(len(known.values)))
        predictions = {}
        for trial in np.unique(known.trials):
            own = np.flatnonzero(known.trials == trial)
            residuals = np.linalg.solve(precision[np.ix_(own, own)], self._weights[own])
            last = self._last_of(trial)
            predictions[int(trial)] = float(known.values[last] - residuals[own == last][0])
        return predictions

    def _last_of(self, trial: int) -> int:
        """Return the index of the last epoch of a trial."""
        known = self._observations
        return int(np.where(known.trials == trial, known.epochs, -1).argmax())


def _of_settings(
    first: Array,
    second: Array,
    first_epochs: IntArray,
    second_epochs: IntArray,
    kernel: Kernel,
    horizon: int,
) -> Array:
    """Return the covariance of c + m + g of settings (N, D) and (M, D) after epochs: (N, M)."""
    effects = kernel.settings_std**2 * matern(first, second, kernel.lengths)
    time = epoch_kernel(first_epochs, second_epochs, kernel.epoch_length, horizon)
    return time * effects + mean_curve_kernel(first_epochs, second_epochs, horizon) + 1


def _covariance(observations: Observations, kernel: Kernel, horizon: int) -> Array:
    epochs = observations.epochs
    effects = kernel.settings_std**2 * matern(
        observations.settings, observations.settings, kernel.lengths
    )
    effects += kernel.seed_std**2 * (observations.trials[:, None] == observations.trials[None, :])
    covariance = epoch_kernel(epochs, epochs, kernel.epoch_length, horizon) * effects
    covariance += mean_curve_kernel(epochs, epochs, horizon) + 1
    covariance += np.diag(observations.variances + kernel.noise_std**2 + JITTER)
    return covariance
