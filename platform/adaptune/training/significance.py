"""How sure a measured accuracy is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def accuracy_interval(hits: int, n: int) -> tuple[float, float]:
    """The exact 95 % interval (Clopper & Pearson 1934) of an accuracy: `hits` of n ≥ 1 samples."""
    from scipy.stats import binomtest  # imported late: it takes a second

    interval = binomtest(hits, n).proportion_ci(confidence_level=0.95, method="exact")
    return float(interval.low), float(interval.high)


def mcnemar_p_value(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> float:
    """How likely two classifiers that are equally good differ as much on the same N samples: McNemar's exact test.

    Args:
        ours, theirs: which samples each got right, [N].
    """
    from scipy.stats import binomtest

    only_ours, only_theirs = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    if not only_ours + only_theirs:
        return 1.0
    return float(binomtest(only_ours, only_ours + only_theirs).pvalue)
