"""The importance of each searched value, and its effect, from all trials at a common epoch."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.importance import FanovaImportanceEvaluator
from optuna.trial import FrozenTrial, TrialState, create_trial

from adaptune.seeding import derive_seed
from adaptune.study.trial import StudyTrial

FEWEST_TRIALS = 8
RESAMPLES = 20
_TREES = 8  # of a resample
_DEPTH = 6  # deeper trees take long and explain noise
_MOST_TRIALS = 200  # of a resample: more of them make a report wait
_WIDTH = 0.15  # of the kernel, as a share of the range
_PERCENTILES = (10, 90)
Array = NDArray[np.float64]


@dataclass(frozen=True)
class CommonEpoch:
    """Trials that can be compared: each has trained at least this epoch.

    Attributes:
        epoch: number of the epoch.
        objectives: objective in this epoch by number of the trial.
    """

    epoch: int
    objectives: Mapping[int, float]


@dataclass(frozen=True)
class Importance:
    """The share of the variance of the objective that a searched value explains by itself.

    Attributes:
        share: mean over resamples of the trials, in [0, 1].
        low: 10th percentile.
        high: 90th percentile.
    """

    share: float
    low: float
    high: float


def common_epoch(trials: Sequence[StudyTrial]) -> CommonEpoch | None:
    """Return the last epoch that all trials have reached which ended without an error.

    Trials that still run or failed count if they have reached it. None without such an epoch.
    """
    ended = [trial.last_epoch for trial in trials if trial.state.is_finished() and trial.epochs]
    if not ended:
        return None
    regular = [
        trial.last_epoch
        for trial in trials
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED) and trial.epochs
    ]
    epoch = min(regular or ended)
    objectives = {}
    for trial in trials:
        objective = trial.curve.get(epoch)
        if objective is not None and math.isfinite(objective):
            objectives[trial.number] = objective
    return CommonEpoch(epoch, objectives) if objectives else None


def importances(
    trials: Sequence[StudyTrial], common: CommonEpoch, seed: int
) -> dict[str, Importance]:
    """Return the importance of each value that all trials drew, by fANOVA (Hutter et al. 2014).

    The shares are main effects of a random forest and add up to 1. The percentiles are those of a
    bootstrap over the trials.

    Returns:
        An empty mapping for fewer than `FEWEST_TRIALS` trials, or equal objectives.
    """
    compared = [trial.optuna_trial for trial in trials if trial.number in common.objectives]
    if len(compared) < FEWEST_TRIALS or len(set(common.objectives.values())) < 2:
        return {}
    random = np.random.default_rng(derive_seed(seed, "importance"))
    shares: dict[str, list[float]] = {}
    for resample in range(RESAMPLES):
        size = min(len(compared), _MOST_TRIALS)
        chosen = [compared[index] for index in random.integers(len(compared), size=size)]
        for path, share in _shares(chosen, common, resample).items():
            shares.setdefault(path, []).append(share)
    result = {}
    for path, values in shares.items():
        low, high = np.percentile(values, _PERCENTILES)
        result[path] = Importance(float(np.mean(values)), float(low), float(high))
    return dict(sorted(result.items(), key=lambda item: -item[1].share))


def response(positions: Array, objectives: Array, at: Array, seed: int) -> tuple[Array, Array]:
    """Return a band that holds the mean objective with 80% certainty: a bootstrapped smoother.

    Args:
        positions: of N trials in the range of a value, in [0, 1], (N,).
        objectives: (N,).
        at: positions of the band, (M,).

    Returns:
        Lower and upper bounds, (M,) each.
    """
    weights = np.exp(-0.5 * ((at[:, None] - positions[None, :]) / _WIDTH) ** 2) + 1e-9
    random = np.random.default_rng(derive_seed(seed, "response"))
    size = len(objectives)
    counts = random.multinomial(size, np.full(size, 1 / size), size=200).T
    means = (weights * objectives) @ counts / (weights @ counts)
    low, high = np.percentile(means, _PERCENTILES, axis=1)
    return low, high


def _shares(trials: Sequence[FrozenTrial], common: CommonEpoch, seed: int) -> dict[str, float]:
    study = _study(trials, common)
    evaluator = FanovaImportanceEvaluator(n_trees=_TREES, max_depth=_DEPTH, seed=seed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.importance.get_param_importances(study, evaluator=evaluator)
    except (RuntimeError, ValueError):  # all objectives of the resample are equal
        return {}


def _study(trials: Sequence[FrozenTrial], common: CommonEpoch) -> optuna.Study:
    """Return a study in memory of complete trials that end with the common epoch."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    optuna.logging.set_verbosity(verbosity)
    for trial in trials:
        value = common.objectives[trial.number]
        study.add_trial(
            create_trial(params=trial.params, distributions=trial.distributions, value=value)
        )
    return study
