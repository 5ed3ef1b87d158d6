"""The covariance of learning curves over settings and epochs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

_MEAN_CURVE_STD = 2.0  # of standardised values
_MEAN_CURVE_LENGTH = 0.6  # of the range of log epochs
SQRT5 = math.sqrt(5)


@dataclass(frozen=True)
class Kernel:
    """The fitted part of the model, for standardised values.

    Attributes:
        lengths: of each setting, (D,).
        epoch_length: in units of the range of log epochs.
        settings_std: standard deviation of g at epochs far from 0.
        seed_std: the same of s.
        noise_std: of the noise that the number of images does not explain.
    """

    lengths: Array
    epoch_length: float
    settings_std: float
    seed_std: float
    noise_std: float

    @classmethod
    def from_logarithms(cls, logarithms: Array) -> Kernel:
        """Return the kernel with these logarithms of its numbers, (D + 4,)."""
        numbers = np.exp(logarithms)
        return cls(numbers[:-4], *(float(number) for number in numbers[-4:]))


def log_prior(dimensions: int) -> tuple[Array, Array]:
    """Return mean and standard deviation of the logarithms of a kernel, (D + 4,) each."""
    means = np.log([*[0.7] * dimensions, 1.0, 1.0, 0.15, 0.05])
    stds = np.array([*[0.7] * dimensions, 0.6, 0.6, 1.0, 1.0])
    return means, stds


def matern(first: Array, second: Array, lengths: Array) -> Array:
    """Return the Matérn kernel of order 5/2 between settings (N, D) and (M, D): (N, M)."""
    first, second = first / lengths, second / lengths
    squares = (first**2).sum(1)[:, None] + (second**2).sum(1)[None, :] - 2 * first @ second.T
    return matern_of(np.sqrt(np.maximum(squares, 0)))


def matern_of(distance: Array) -> Array:
    """Return the Matérn kernel of order 5/2 at distances in units of its length."""
    return (1 + SQRT5 * distance + 5 / 3 * distance**2) * np.exp(-SQRT5 * distance)


def epoch_kernel(first: IntArray, second: IntArray, length: float, horizon: int) -> Array:
    """Return the kernel of epochs (N,) and (M,), given that the value at epoch 0 is 0: (N, M)."""
    at = np.log1p(np.arange(max(first.max(), second.max()) + 1)) / math.log1p(horizon)
    table = matern_of(np.abs(at[:, None] - at[None, :]) / length)
    table = table - np.outer(table[:, 0], table[0, :])
    return table[first[:, None], second[None, :]]


def mean_curve_kernel(first: IntArray, second: IntArray, horizon: int) -> Array:
    """Return the kernel of the mean curve at epochs (N,) and (M,): (N, M)."""
    return _MEAN_CURVE_STD**2 * epoch_kernel(first, second, _MEAN_CURVE_LENGTH, horizon)
