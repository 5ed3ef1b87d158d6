from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta

from adaptune.training.significance import accuracy_interval, mcnemar_p_value


def test_only_samples_on_which_two_classifiers_differ_tell_them_apart() -> None:
    first = np.array([True] * 10 + [False] * 2 + [True] * 300)
    second = np.array([False] * 10 + [True] * 2 + [True] * 300)
    # 2 · (C(12, 0) + C(12, 1) + C(12, 2)) / 2¹²
    assert mcnemar_p_value(first, second) == pytest.approx(158 / 2**12)
    assert mcnemar_p_value(second, first) == mcnemar_p_value(first, second)
    assert mcnemar_p_value(first, first) == 1


def test_the_interval_is_that_of_clopper_and_pearson() -> None:
    low, high = accuracy_interval(80, 100)
    assert low == pytest.approx(beta.ppf(0.025, 80, 21))
    assert high == pytest.approx(beta.ppf(0.975, 81, 20))


@pytest.mark.parametrize(("hits", "interval"), [(0, (0, 1 - 0.025**0.1)), (10, (0.025**0.1, 1))])
def test_the_interval_ends_at_0_and_1(hits: int, interval: tuple[float, float]) -> None:
    assert accuracy_interval(hits, 10) == pytest.approx(interval)
