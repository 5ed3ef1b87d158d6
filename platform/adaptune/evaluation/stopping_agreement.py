"""The agreement of an early ranking with the final one: whether early stopping ranked rightly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from optuna.trial import TrialState

from adaptune.study.trial import StudyTrial

FEWEST_TRIALS = 3
FEWEST_TO_JUDGE = 6  # complete trials: τ of fewer is a matter of chance
_LOW_TAU = 0.4


@dataclass(frozen=True)
class RungAgreement:
    """The ranking of the complete trials at a rung, compared with that by their best epochs.

    Attributes:
        epoch: epoch of the rung.
        trials: number of complete trials.
        tau: Kendall's τ, in [-1, 1]; None if one of the rankings has ties only.
        kept_best: whether the finally best trial was among the better half at the rung.
    """

    epoch: int
    trials: int
    tau: float | None
    kept_best: bool

    @property
    def misleads(self) -> bool:
        """True if enough trials show that the ranking says little about the final one."""
        return self.trials >= FEWEST_TO_JUDGE and self.has_low_tau

    @property
    def has_low_tau(self) -> bool:
        """True if the ranking says little about the final one."""
        return self.tau is not None and self.tau < _LOW_TAU


def rung_agreements(trials: Sequence[StudyTrial], rungs: Sequence[int]) -> list[RungAgreement]:
    """Return the agreement at each rung; none for fewer than `FEWEST_TRIALS` complete trials.

    Stopped trials have no end to compare with, so that the complete ones overstate nothing but
    know little of trials that start slowly.
    """
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    agreements = []
    for rung in rungs:
        early, final = [], []
        for trial in complete:
            value = trial.curve.get(rung)
            best = trial.best_value
            if value is not None and best is not None and math.isfinite(value + best):
                early.append(value)
                final.append(best)
        if len(early) < FEWEST_TRIALS:
            continue
        winner = early[final.index(max(final))]
        above = sum(value > winner for value in early)
        kept_best = above < math.ceil(len(early) / 2)
        agreements.append(RungAgreement(rung, len(early), _kendall(early, final), kept_best))
    return agreements


def stopping_verdict(trials: Sequence[StudyTrial], rungs: Sequence[int]) -> str | None:
    """Return in plain words whether early stopping ranked rightly; None if it stopped nothing.

    The rungs of the scheduler are judged by the trials that trained all epochs.
    """
    if not any(trial.state == TrialState.PRUNED for trial in trials):
        return None
    agreements = [rung for rung in rung_agreements(trials, rungs) if rung.tau is not None]
    if not agreements or agreements[0].trials < FEWEST_TO_JUDGE:
        return (
            "Too few trials trained all epochs to tell whether early stopping ranked rightly:"
            f" at least {FEWEST_TO_JUDGE} are needed."
        )
    count = agreements[0].trials
    taus = ", ".join(f"{rung.tau:.2f} after epoch {rung.epoch}" for rung in agreements)
    figures = f"Kendall's τ with the end, {count} trials: {taus}"
    if not agreements[0].misleads:
        return f"Early stopping ranked rightly ({figures})."
    better = next((rung.epoch for rung in agreements if not rung.has_low_tau), None)
    remedy = "take search.scheduler: none"
    if better is not None:
        remedy = f"set search.scheduler.grace_epochs: {better}"
    return f"Early stopping may have misled this search ({figures}): {remedy}."


def _kendall(first: list[float], second: list[float]) -> float | None:
    from scipy.stats import kendalltau  # imported late: it takes a second

    if len(set(first)) < 2 or len(set(second)) < 2:
        return None
    return float(kendalltau(first, second).statistic)
