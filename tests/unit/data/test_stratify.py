from __future__ import annotations

import numpy as np
import pytest

from adaptune.data.stratify import parts_of_class, split, subset

LABELS = np.array([0] * 60 + [1] * 30 + [-1] * 10)


def test_a_subset_keeps_shares_to_within_one_unknown_labels_included() -> None:
    chosen = subset(LABELS, 20, seed=0)
    counts = [int((LABELS[chosen] == label).sum()) for label in (0, 1, -1)]
    assert sum(counts) == len(np.unique(chosen)) == 20
    assert np.abs(np.array(counts) - [12, 6, 2]).max() <= 1
    assert np.array_equal(subset(LABELS, 500, seed=0), np.arange(100))


@pytest.mark.parametrize("limit", [None, 100, 500])
def test_a_subset_without_an_effective_limit_is_everything(limit: int | None) -> None:
    assert subset(LABELS, limit, seed=0).tolist() == list(range(100))


def test_a_subset_is_sorted_and_decided_by_the_seed() -> None:
    chosen = subset(LABELS, 20, seed=0)
    assert chosen.tolist() == sorted(chosen)
    assert np.array_equal(chosen, subset(LABELS, 20, seed=0))
    assert not np.array_equal(chosen, subset(LABELS, 20, seed=1))


@pytest.mark.parametrize(
    ("size", "fractions", "sizes"),
    [
        (100, [0.2, 0.3], [20, 30]),
        (10, [0.25, 0.24], [3, 2]),  # 2.5 is rounded up, 2.4 down
        (3, [0.1, 0.1], [1, 1]),
        (0, [0.5], [1]),
    ],
)
def test_a_part_of_a_class_is_the_rounded_fraction_but_at_least_one(
    size: int, fractions: list[float], sizes: list[int]
) -> None:
    assert parts_of_class(size, fractions) == sizes


def test_a_split_is_disjoint_complete_sorted_and_stratified() -> None:
    parts = split(LABELS, [0.1, 0.3], seed=0)
    assert sorted(np.concatenate(parts).tolist()) == list(range(100))
    assert all(part.tolist() == sorted(part) for part in parts)
    counts = [[int((LABELS[part] == label).sum()) for label in (0, 1, -1)] for part in parts]
    assert counts == [[6, 3, 1], [18, 9, 3], [36, 18, 6]]


def test_the_seed_decides_a_split() -> None:
    first, again, other = (split(LABELS, [0.5], seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first[0], again[0])
    assert not np.array_equal(first[0], other[0])
