"""The gain of a search over the start points that the user named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from adaptune.evaluation.verdict import WITH_ARTICLE
from adaptune.study.objective import format_value
from adaptune.study.study import SearchStudy
from adaptune.study.trial import StudyTrial
from adaptune.training.metrics import ACCURACY, metric_of
from adaptune.training.record import ENSEMBLE

_CHANCE_ERRORS = 2  # standard errors of a difference that chance explains


@dataclass(frozen=True)
class SearchGain:
    """The best trial of a search against the best start point.

    Attributes:
        best_trial: number of the best trial.
        start_point: number of the best start point; `best_trial` if that is a start point.
        start_point_value: objective of the best start point; None for `ensemble`, whose values are
            ranks that change with each epoch.
        gain: objective of the best trial minus that of the best start point, both in the epochs
            that the start point trained; 0 if the best trial is a start point; None for `ensemble`
            otherwise.
        stopped_after: number of the last epoch of the best start point, if the best trial trained
            more of them.
    """

    best_trial: int
    start_point: int
    start_point_value: float | None
    gain: float | None
    stopped_after: int | None = None

    @property
    def best_is_start_point(self) -> bool:
        """True if the best trial is a start point."""
        return self.best_trial == self.start_point


def ranked_start_points(study: SearchStudy) -> list[StudyTrial]:
    """Return the complete and pruned start points, best first.

    A trial that repeats the values of a start point counts as one.
    """
    named = [trial.values for trial in study.started_trials() if trial.is_start_point]
    if not named:
        return []
    return [trial for trial in study.ranked_trials() if trial.values in named]


def search_gain(study: SearchStudy) -> SearchGain | None:
    """Return the gain of a search over its start points; None if no start point has a result."""
    best = study.best_trial()
    start_point = next(iter(ranked_start_points(study)), None)
    if best is None or start_point is None:
        return None
    numbers = best.number, start_point.number
    if study.metric == ENSEMBLE:
        gain = 0.0 if best.number == start_point.number else None
        return SearchGain(*numbers, start_point_value=None, gain=gain)
    value = start_point.best_value
    stopped_after = None
    compared = best.epochs
    if start_point.last_epoch < best.last_epoch:
        stopped_after = start_point.last_epoch
        compared = [epoch for epoch in best.epochs if epoch.number <= stopped_after]
    best_epoch = best.best_of(compared)
    assert best_epoch is not None  # only trials with an epoch are ranked
    assert value is not None
    gain = best_epoch.objective - value
    return SearchGain(*numbers, value, gain, stopped_after)


def describe_gain(gain: SearchGain, metric: str, samples: int) -> str:
    """Return the gain in one sentence.

    An accuracy within two standard errors is within chance. The standard errors are binomial, as if
    each model had been scored on samples of its own.

    Args:
        metric: metric of the search.
        samples: number of target_val samples.
    """
    if gain.best_is_start_point:
        return (
            f"The best trial, trial {gain.best_trial}, is a start point: the search added nothing"
            " to it."
        )
    start = f"The best start point, trial {gain.start_point},"
    if gain.start_point_value is None or gain.gain is None:
        return f"{start} is not the best trial: {metric} ranks trial {gain.best_trial} above it."
    value = _describe_value(metric, gain.start_point_value)
    difference = _describe_difference(metric, abs(gain.gain))
    text = f"{start} has {value}: the search added {difference} to it"
    if gain.stopped_after is not None:
        comparison = "better" if gain.gain >= 0 else "worse"
        text = (
            f"{start} has {value}, but was stopped after epoch {gain.stopped_after}. Until then,"
            f" trial {gain.best_trial} was {difference} {comparison}"
        )
    if _is_within_chance(gain.start_point_value, gain.gain, metric, samples):
        text += f", which is within chance for {samples} images"
    if gain.stopped_after is not None:
        text += ". What the start point would have reached is unknown"
    return f"{text}."


def _describe_value(metric: str, value: float) -> str:
    """Return an objective: `79.6% on target_val`, `a score of 0.8124 by v_measure`."""
    formatted = format_value(metric, value)
    judged = metric_of(metric)
    if judged is None:
        return f"a score of {formatted} by {metric}"
    if judged == ACCURACY:
        return f"{formatted} on target_val"
    return f"{WITH_ARTICLE[judged]} of {formatted} on target_val"


def _describe_difference(metric: str, difference: float) -> str:
    if metric_of(metric) is None:
        return f"{difference:.4f}"
    return f"{100 * difference:.1f} points"


def _is_within_chance(value: float, gain: float, metric: str, samples: int) -> bool:
    if metric_of(metric) != ACCURACY:
        return False
    return abs(gain) <= _CHANCE_ERRORS * _standard_error((value, value + gain), samples)


def _standard_error(accuracies: Sequence[float], samples: int) -> float:
    """Return the binomial standard error of the difference of two accuracies."""
    variance = sum(accuracy * (1 - accuracy) for accuracy in accuracies) / samples
    return sqrt(variance)
