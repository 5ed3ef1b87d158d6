from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import truncnorm

from adaptune.curves.prior import PositionPrior, SpacePrior, prior_weight

PRIOR = PositionPrior(mean=0.3, std=0.2)
WITH_ZERO = PositionPrior(mean=0.3, std=0.2, zero=0.25)


def test_it_is_a_normal_distribution_that_is_cut_off_and_a_uniform_part() -> None:
    positions = np.array([0.0, 0.2, 0.9])
    normal = truncnorm(-0.3 / 0.2, 0.7 / 0.2, loc=0.3, scale=0.2)
    densities = 0.2 + 0.8 * normal.pdf(positions)
    assert PRIOR.log_density(positions) == pytest.approx(np.log(densities))
    drawn = PRIOR.draws((np.arange(10_000) + 0.5) / 10_000)
    for position in (0.1, 0.3, 0.8):
        below = 0.2 * position + 0.8 * normal.cdf(position)
        assert (drawn < position).mean() == pytest.approx(below, abs=1e-3)


@pytest.mark.parametrize("prior", [PRIOR, WITH_ZERO, PositionPrior(mean=0.0, std=0.05)])
def test_the_density_of_all_positions_is_1(prior: PositionPrior) -> None:
    middles = (np.arange(10_000) + 0.5) / 10_000
    assert np.exp(prior.log_density(middles)).mean() == pytest.approx(1, abs=1e-3)


def test_0_keeps_its_probability() -> None:
    levels = (np.arange(1000) + 0.5) / 1000
    positions = WITH_ZERO.draws(levels)
    assert (positions < 0.25).mean() == 0.25
    assert np.median(positions[positions >= 0.25]) == pytest.approx(0.25 + 0.75 * 0.34, abs=0.02)


def test_settings_without_a_prior_are_uniform() -> None:
    prior = SpacePrior({1: PRIOR})
    positions = np.array([[0.1, 0.3], [0.9, 0.3], [0.1, 0.9]])
    densities = prior.log_density(positions)
    assert densities[0] == densities[1] > densities[2]
    drawn = prior.draw(500, 2, np.random.default_rng(0))
    assert drawn[:, 0].std() == pytest.approx(1 / 12**0.5, abs=0.03)
    assert drawn[:, 1].std() < 0.23
    assert bool(prior)
    assert not SpacePrior({})


def test_the_weight_begins_with_1_and_fades_as_1_over_n() -> None:
    assert [prior_weight(6, ended) for ended in (0, 6, 12, 60)] == [1, 1, 0.5, 0.1]
