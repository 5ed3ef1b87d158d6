"""The one number of an epoch that scheduler and sampler compare; more is better."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping
from statistics import fmean
from typing import Any

from adaptune.training.guide import ENSEMBLE, score

# What `ensemble` takes the mean rank of: the validators that did best in published comparisons.
ENSEMBLE_VALIDATORS = tuple(
    f"validator/{name}" for name in ("v_measure", "source_val", "infomax", "importance_weighted")
)


class Objective:
    """Knows the epochs of all trials so far, which `ensemble` ranks a new one among."""

    def __init__(self, metric: str) -> None:
        self._metric = metric
        self._seen: set[tuple[int, int]] = set()
        self._population: dict[str, list[float]] = {member: [] for member in ENSEMBLE_VALIDATORS}

    @property
    def is_rank_based(self) -> bool:
        """Whether an epoch's number changes with the epochs that come after it."""
        return self._metric == ENSEMBLE

    def note(self, number: int, record: Mapping[str, Any]) -> None:
        """Add an epoch of trial `number` to what `ensemble` knows; the same one twice counts once."""
        if not self.is_rank_based or (number, record["epoch"]) in self._seen:
            return
        self._seen.add((number, record["epoch"]))
        for member, values in self._population.items():
            insort(values, record[member])

    def value(self, record: Mapping[str, Any]) -> float:
        """The metric of a record; for `ensemble` the mean, over its members, of the part of epochs that are worse.

        An equal one counts half. Raises ZeroDivisionError where `ensemble` knows no epoch yet.
        """
        if not self.is_rank_based:
            return score(record, self._metric)[0]
        return fmean(_rank(record[member], values) for member, values in self._population.items())


def _rank(value: float, values: list[float]) -> float:
    return (bisect_left(values, value) + bisect_right(values, value)) / (2 * len(values))
