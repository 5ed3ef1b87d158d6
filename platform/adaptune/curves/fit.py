"""The fit of a kernel to learning curves."""

from __future__ import annotations

import math

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from adaptune.curves.kernel import (
    SQRT5,
    Array,
    IntArray,
    Kernel,
    epoch_kernel,
    log_prior,
    matern_of,
    mean_curve_kernel,
)
from adaptune.curves.model import JITTER, Observations, Scale

_FITTED_POINTS = 120  # enough to fit a few numbers; more of them make a proposal wait
_ITERATIONS = 25


def fit_kernel(observations: Observations, horizon: int) -> Kernel:
    """Return the kernel of the highest posterior density.

    Args:
        horizon: number of the last epoch of a trial.
    """
    chosen = _representative(observations)
    scale = Scale.of(observations.values)
    fit = _Fit(scale.standardise(observations.subset(chosen)), horizon)
    means, stds = log_prior(observations.settings.shape[1])
    bounds = list(zip(means - 3 * stds, means + 3 * stds, strict=True))
    options = {"maxiter": _ITERATIONS}
    result = minimize(fit.loss, means, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return Kernel.from_logarithms(result.x)


def _representative(observations: Observations) -> IntArray:
    """Return indices of a part of the observations, from the best value to the worst."""
    order = np.argsort(-observations.values, kind="stable")
    count = min(len(order), _FITTED_POINTS)
    chosen: IntArray = order[np.linspace(0, len(order) - 1, count).astype(int)]
    return chosen


class _Fit:
    """The negative log posterior of a kernel."""

    def __init__(self, observations: Observations, horizon: int) -> None:
        self._observations = observations
        self._horizon = horizon
        settings = observations.settings
        self._squares = (settings[:, None, :] - settings[None, :, :]) ** 2
        self._same_trial = observations.trials[:, None] == observations.trials[None, :]
        self._constant = mean_curve_kernel(observations.epochs, observations.epochs, horizon) + 1
        self._prior = log_prior(settings.shape[1])

    def loss(self, logarithms: Array) -> tuple[float, Array]:
        """Return the loss and its gradient."""
        kernel = Kernel.from_logarithms(logarithms)
        known = self._observations
        size = len(known.values)
        scaled = self._squares / kernel.lengths**2
        distance = np.sqrt(scaled.sum(axis=2))
        time = epoch_kernel(known.epochs, known.epochs, kernel.epoch_length, self._horizon)
        of_settings = kernel.settings_std**2 * matern_of(distance)
        of_seed = kernel.seed_std**2 * self._same_trial
        noise = known.variances + kernel.noise_std**2 + JITTER
        covariance = time * (of_settings + of_seed) + self._constant + np.diag(noise)
        factor = cho_factor(covariance, lower=True)
        weights = cho_solve(factor, known.values)
        precision = cho_solve(factor, np.eye(size))
        inner = 0.5 * (precision - np.outer(weights, weights))
        decay = np.exp(-SQRT5 * distance)
        slope = kernel.settings_std**2 * 5 / 3 * (1 + SQRT5 * distance) * decay
        gradient = np.empty(len(logarithms))
        gradient[:-4] = np.einsum("ij,ijd->d", inner * time * slope, scaled)
        step = 1e-4
        longer = epoch_kernel(
            known.epochs, known.epochs, kernel.epoch_length * math.exp(step), self._horizon
        )
        gradient[-4] = (inner * (longer - time) / step * (of_settings + of_seed)).sum()
        gradient[-3] = 2 * (inner * time * of_settings).sum()
        gradient[-2] = 2 * (inner * time * of_seed).sum()
        gradient[-1] = 2 * kernel.noise_std**2 * np.trace(inner)
        means, stds = self._prior
        deviations = (logarithms - means) / stds
        log_determinant = 2 * np.log(np.diag(factor[0])).sum()
        loss = 0.5 * (known.values @ weights + log_determinant + deviations @ deviations)
        return float(loss), gradient + deviations / stds
