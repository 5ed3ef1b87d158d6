from __future__ import annotations

import numpy as np
import pytest

from adaptune.curves.kernel import Kernel, epoch_kernel, log_prior, matern, mean_curve_kernel

EPOCHS = np.array([0, 1, 3, 9])


def test_the_matern_kernel_has_its_closed_form() -> None:
    first, second = np.array([[0.0, 0.0]]), np.array([[0.3, 0.8]])
    distance = np.sqrt(0.3**2 / 0.5**2 + 0.8**2 / 2.0**2)
    root = np.sqrt(5) * distance
    expected = (1 + root + root**2 / 3) * np.exp(-root)
    assert matern(first, second, np.array([0.5, 2.0])) == pytest.approx(expected)
    assert matern(first, first, np.array([0.5, 2.0])) == pytest.approx(1)


def test_all_curves_begin_at_the_same_value() -> None:
    covariance = epoch_kernel(EPOCHS, EPOCHS, 0.7, 9)
    assert covariance[0] == pytest.approx(0)
    assert np.all(np.diff(np.diag(covariance)) > 0)  # less and less is known
    assert np.linalg.eigvalsh(covariance).min() > -1e-12
    assert mean_curve_kernel(EPOCHS, EPOCHS, 9)[0] == pytest.approx(0)


def test_an_epoch_says_more_about_the_next_one_the_longer_the_length() -> None:
    correlations = []
    for length in (0.2, 1.0, 3.0):
        covariance = epoch_kernel(EPOCHS, EPOCHS, length, 9)
        correlations.append(covariance[1, 3] / np.sqrt(covariance[1, 1] * covariance[3, 3]))
    assert correlations == sorted(correlations)


def test_a_kernel_is_made_of_logarithms() -> None:
    means, stds = log_prior(2)
    assert means.shape == stds.shape == (6,)
    kernel = Kernel.from_logarithms(np.log([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]))
    assert kernel.lengths == pytest.approx([0.1, 0.2])
    numbers = (kernel.epoch_length, kernel.settings_std, kernel.seed_std, kernel.noise_std)
    assert numbers == pytest.approx((0.3, 0.4, 0.5, 0.6))
