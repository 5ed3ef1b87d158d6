"""How sure a measured accuracy is."""

from __future__ import annotations


def accuracy_interval(hits: int, n: int) -> tuple[float, float]:
    """The exact 95 % interval (Clopper & Pearson 1934) of an accuracy: `hits` of n ≥ 1 samples."""
    from scipy.stats import binomtest  # imported late: it takes a second

    interval = binomtest(hits, n).proportion_ci(confidence_level=0.95, method="exact")
    return float(interval.low), float(interval.high)
