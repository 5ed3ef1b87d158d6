from __future__ import annotations

import numpy as np
import pytest
from support.curve_data import HORIZON, observe

from adaptune.curves.fit import _Fit, fit_kernel
from adaptune.curves.kernel import log_prior
from adaptune.curves.model import Scale


def test_the_gradient_is_that_of_the_loss() -> None:
    observations = observe(6)
    fit = _Fit(Scale.of(observations.values).standardise(observations), HORIZON)
    at = log_prior(2)[0] + np.array([0.1, -0.2, 0.3, -0.1, 0.2, 0.1])
    _, gradient = fit.loss(at)
    for index in range(len(at)):
        step = np.zeros(len(at))
        step[index] = 1e-4
        difference = fit.loss(at + step)[0] - fit.loss(at - step)[0]
        assert gradient[index] == pytest.approx(difference / 2e-4, rel=1e-2, abs=1e-2)


def test_a_setting_without_an_effect_gets_a_long_length() -> None:
    kernel = fit_kernel(observe(20), HORIZON)
    assert kernel.lengths[1] > 2 * kernel.lengths[0]
    assert kernel.seed_std < 0.3


def test_the_fit_is_repeated_exactly_and_takes_part_of_many_observations() -> None:
    many = observe(80)  # 240 observations, of which 120 are fitted
    first, second = fit_kernel(many, HORIZON), fit_kernel(many, HORIZON)
    assert np.array_equal(first.lengths, second.lengths)
    assert first.lengths[1] > 2 * first.lengths[0]
