"""Trials of different searches on one scale: their ranks, each within its own search."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState

_HALF_WEIGHT = 20  # finished trials of a search with which earlier ones count half


def rank_scores(values: Sequence[float]) -> list[float]:
    """Return the share of values that are lower, in (0, 1); half of the equal ones count."""
    scores = []
    for value in values:
        lower = sum(other < value for other in values)
        equal = sum(other == value for other in values)
        scores.append((lower + 0.5 * equal) / len(values))
    return scores


def merge(earlier: Sequence[FrozenTrial], own: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return the trials of which a sampler learns, with ranks in place of values.

    Values of different tasks cannot be compared: all trials of an easy one would be good. Earlier
    trials count less the more trials this search has: fewer of them are left, evenly by rank.

    Args:
        earlier: trials of earlier searches; their values are rank scores.
        own: started trials of this search. Those without all epochs rank below the complete ones.
    """
    complete = [trial for trial in own if trial.state == TrialState.COMPLETE]
    finished = sum(trial.state.is_finished() for trial in own)
    worst_first = sorted(complete, key=lambda trial: trial.value or 0.0)
    merged = _faded(earlier, finished)
    below = finished - len(complete)
    scored = {}
    for position, trial in enumerate(worst_first, start=below):
        scored[trial.number] = (position + 0.5) / finished
    for trial in own:
        ranked = trial
        if trial.number in scored:
            ranked = copy.copy(trial)
            ranked.value = scored[trial.number]
        merged.append(ranked)
    return merged


def _faded(earlier: Sequence[FrozenTrial], finished: int) -> list[FrozenTrial]:
    """Return the share of the earlier trials that counts, evenly spaced by rank, the best first."""
    best_first = sorted(earlier, key=lambda trial: -(trial.value or 0.0))
    kept = math.ceil(len(best_first) * _HALF_WEIGHT / (_HALF_WEIGHT + finished))
    return [best_first[index * len(best_first) // kept] for index in range(kept)]
