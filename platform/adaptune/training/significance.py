"""Statistical certainty of measured accuracies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIGNIFICANCE_LEVEL = 0.05


def accuracy_interval(hits: int, n: int) -> tuple[float, float]:
    """Return the exact 95% interval (Clopper & Pearson 1934) of an accuracy.

    Args:
        hits: number of correct predictions.
        n: number of samples, at least 1.
    """
    from scipy.stats import binomtest  # imported late: it takes a second

    interval = binomtest(hits, n).proportion_ci(confidence_level=0.95, method="exact")
    return float(interval.low), float(interval.high)


def mcnemar_p_value(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Return the p value of McNemar's exact test for two classifiers on the same N samples.

    It is the probability that two equally good classifiers differ at least as much (McNemar 1947).

    Args:
        first, second: which samples each classifier got right, (N,).
    """
    from scipy.stats import binomtest

    only_first = int((first & ~second).sum())
    only_second = int((second & ~first).sum())
    differing = only_first + only_second
    if not differing:
        return 1.0
    return float(binomtest(only_first, differing).pvalue)
