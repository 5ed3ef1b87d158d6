"""The objective of a search: the number per epoch that scheduler and sampler compare."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from statistics import fmean

from adaptune.training.metrics import metric_of
from adaptune.training.record import ENSEMBLE, EpochRecord

# Validators that `ensemble` averages: the best ones in published comparisons.
ENSEMBLE_VALIDATORS = ("v_measure", "source_val", "infomax", "importance_weighted")

# Below the difference that one image makes.
_TIE = 1e-7


class Objective:
    """Computes the objective of epochs; more is better.

    `ensemble` ranks each epoch among the epochs of all trials that were observed so far.
    """

    def __init__(self, metric: str) -> None:
        self._metric = metric
        self._observed: set[tuple[int, int]] = set()
        self._scores: dict[str, list[float]] = {name: [] for name in ENSEMBLE_VALIDATORS}
        self._unsorted: list[EpochRecord] = []  # observed, but not yet among the scores

    @property
    def is_rank_based(self) -> bool:
        """True if the value of an epoch changes when more epochs are observed."""
        return self._metric == ENSEMBLE

    def observe(self, number: int, record: EpochRecord) -> None:
        """Add an epoch of trial `number`; a repeated one counts once."""
        if not self.is_rank_based or (number, record.epoch) in self._observed:
            return
        self._observed.add((number, record.epoch))
        self._unsorted.append(record)

    def value(self, record: EpochRecord) -> float:
        """Return the objective of an epoch.

        For `ensemble` it is the mean, over its validators, of the fraction of observed epochs with
        a lower score; an equal score counts half.

        Raises:
            ZeroDivisionError: `ensemble` has observed no epoch.
        """
        if not self.is_rank_based:
            return record.score(self._metric)[0]
        self._sort_scores()
        return fmean(_rank(record.validators[name], self._scores[name]) for name in self._scores)

    def rung_value(self, record: EpochRecord) -> float:
        """Return what a scheduler compares: the objective, with ties of a metric broken.

        Metrics on a few hundred labels have few values. The loss tells equal ones apart: exp(−loss)
        is the geometric mean of the probability of the true class.
        """
        value = self.value(record)
        if metric_of(self._metric) is None or record.target_val_loss is None:
            return value
        return value + _TIE * math.exp(-record.target_val_loss)

    def _sort_scores(self) -> None:
        """Add the scores of the epochs observed since: one is inserted, many are sorted."""
        for name, scores in self._scores.items():
            new_scores = [record.validators[name] for record in self._unsorted]
            if len(new_scores) == 1:
                insort(scores, new_scores[0])
            elif new_scores:
                scores.extend(new_scores)
                scores.sort()
        self._unsorted.clear()


def format_objective(metric: str, value: float) -> str:
    """Return the metric and its value: `target_val 89.7%`, `v_measure 0.8124`."""
    return f"{metric_label(metric)} {format_value(metric, value)}"


def format_value(metric: str, value: float) -> str:
    """Return a value of the metric: `89.7%` on target labels, `0.8124` for a validator."""
    return f"{value:.4f}" if metric_of(metric) is None else f"{value:.1%}"


def metric_label(metric: str) -> str:
    """Return the metric's name for tables: `target_val`, `target_val_macro_f1`, `v_measure`."""
    return metric.removesuffix("_accuracy")


def _rank(score: float, scores: list[float]) -> float:
    return (bisect_left(scores, score) + bisect_right(scores, score)) / (2 * len(scores))
