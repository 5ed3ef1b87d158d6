from __future__ import annotations

import numpy as np
import pytest

from adaptune.curves.kernel import Array, Kernel
from adaptune.curves.model import CurveModel, Observations
from adaptune.curves.outlook import chance_of_gain

HORIZON = 8
KERNEL = Kernel(np.array([0.4]), 1.0, 1.0, 0.05, 0.02)
EVERYWHERE = np.linspace(0, 1, 60)[:, None]


def hill(positions: Array) -> Array:
    values: Array = 0.9 - (positions[:, 0] - 0.6) ** 2
    return values


def chance(tried: Array, gain: float, *, is_logit: bool = False) -> float:
    observations = Observations(
        settings=tried,
        epochs=np.full(len(tried), HORIZON),
        trials=np.arange(len(tried)),
        values=hill(tried),
        variances=np.zeros(len(tried)),
    )
    model = CurveModel(observations, KERNEL, HORIZON)
    return chance_of_gain(model, tried, EVERYWHERE, lambda p: p, gain, HORIZON, is_logit=is_logit)


def test_little_is_left_to_gain_once_the_range_is_known() -> None:
    few, many = np.array([[0.0], [0.1], [0.2]]), np.linspace(0, 1, 15)[:, None]
    assert chance(few, 0.05) > 0.5
    assert chance(many, 0.05) < 0.02


def test_a_higher_gain_is_less_probable() -> None:
    tried = np.array([[0.0], [0.3], [0.9]])
    chances = [chance(tried, gain) for gain in (0.001, 0.1, 0.3, 2.0)]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] > chances[-1] == 0


def test_a_gain_counts_in_shares_of_images_if_the_model_has_log_odds() -> None:
    tried = np.array([[0.0], [0.3], [0.9]])
    # Near log odds of 0.9, a share of 0.1 is 0.5 in log odds.
    assert 0 < chance(tried, 0.5) + 0.02 < chance(tried, 0.1)
    assert chance(tried, 0.1, is_logit=True) == pytest.approx(chance(tried, 0.5), abs=0.1)


@pytest.mark.parametrize("gain", [0.01, 0.1])
def test_the_same_trials_give_the_same_chance(gain: float) -> None:
    tried = np.array([[0.1], [0.8]])
    assert chance(tried, gain) == chance(tried, gain)
