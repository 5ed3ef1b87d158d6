"""The gain that is left to a search, by the model of learning curves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import expit

from adaptune.curves.kernel import Array
from adaptune.curves.model import CurveModel

_DRAWS = 400


def chance_of_gain(
    model: CurveModel,
    tried: Array,
    others: Array,
    features: Callable[[Array], Array],
    gain: float,
    horizon: int,
    *,
    is_logit: bool,
) -> float:
    """Return the probability that some setting is better than the best tried one by `gain`.

    This is the probability that the regret of the search is above `gain` (Wilson 2024). Settings
    are compared at the last epoch, without the effect of a trial's seed and without noise: another
    seed may well do better, but no setting would have been found.

    Args:
        tried: positions of the settings so far, (N, P).
        others: positions of other settings, (M, P).
        features: function from positions to the settings that the kernel compares.
        gain: in units of the objective.
        horizon: number of the last epoch of a trial.
        is_logit: whether the values of the model are log odds of the objective.
    """
    settings = features(np.vstack([tried, others]))
    means, _ = model.predict(settings, horizon)
    best = int(means[: len(tried)].argmax())
    draws = model.draw(settings, horizon, _DRAWS, np.random.default_rng(len(tried)))
    if is_logit:
        draws = expit(draws)
    return float(np.mean(draws.max(axis=1) > draws[:, best] + gain))
