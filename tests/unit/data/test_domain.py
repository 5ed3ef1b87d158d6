from __future__ import annotations

import numpy as np
import pytest

from adaptune.data.domain import (
    ALL_SAMPLES,
    DIGIT_NAMES,
    FIRST_HALF,
    SECOND_HALF,
    UNLABELLED,
)

IMAGES = np.arange(3 * 2 * 2, dtype=np.uint8).reshape(3, 2, 2)
LABELS = np.array([0, 1, UNLABELLED], dtype=np.int64)


@pytest.mark.parametrize("count", [1, 6, 7])
def test_the_halves_are_disjoint_and_cover_all_samples(count: int) -> None:
    samples = list(range(count))
    halves = [*samples[FIRST_HALF], *samples[SECOND_HALF]]
    assert sorted(halves) == samples[ALL_SAMPLES] == samples


def test_a_digit_is_its_own_class_index() -> None:
    assert [DIGIT_NAMES.index(str(digit)) for digit in range(10)] == list(range(10))
