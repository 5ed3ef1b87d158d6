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
        gain: objective of the best trial minus that of the best start point; 0 if the best trial
            is a start point; None for `ensemble` otherwise.
    """

    best_trial: int
    start_point: int
    start_point_value: float | None
    gain: float | None

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
    assert best.best_value is not None  # only trials with an epoch are ranked
    assert value is not None
    return SearchGain(*numbers, start_point_value=value, gain=best.best_value - value)


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
    text = f"{start} has {_describe_value(metric, gain.start_point_value)}: the search added"
    judged = metric_of(metric)
    if judged is None:
        return f"{text} {gain.gain:.4f} to it."
    text += f" {100 * gain.gain:.1f} points to it"
    accuracies = (gain.start_point_value, gain.start_point_value + gain.gain)
    if judged == ACCURACY and gain.gain <= _CHANCE_ERRORS * _standard_error(accuracies, samples):
        return f"{text}, which is within chance for {samples} images."
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


def _standard_error(accuracies: Sequence[float], samples: int) -> float:
    """Return the binomial standard error of the difference of two accuracies."""
    variance = sum(accuracy * (1 - accuracy) for accuracy in accuracies) / samples
    return sqrt(variance)
