"""Seeded choices of samples that keep the proportions of the classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from adaptune.data.array_types import Indices, Labels


def subset(labels: Labels, limit: int | None, seed: int) -> Indices:
    """Choose at most `limit` samples: labels (N,) → sorted indices, int64 (min(N, limit),).

    Each label, `UNLABELLED` included, keeps its proportion to within one sample.
    """
    if limit is None or limit >= len(labels):
        return np.arange(len(labels))
    order = np.random.default_rng(seed).permutation(len(labels))
    shuffled = labels[order]
    # Sample j of a class of n gets position (j + ½) / n. A class has the same proportion below
    # every position, so that the samples at the lowest positions are a stratified subset.
    position = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(shuffled == label)
        position[members] = (np.arange(len(members)) + 0.5) / len(members)
    lowest = np.argsort(position, kind="stable")[:limit]
    return np.sort(order[lowest])


def parts_of_class(size: int, fractions: Sequence[float]) -> list[int]:
    """Return how many of the `size` samples of a class each part gets.

    It is the rounded fraction, but at least one.
    """
    return [max(1, int(size * fraction + 0.5)) for fraction in fractions]


def split(labels: Labels, fractions: Sequence[float], seed: int) -> list[Indices]:
    """Split samples at random into one part per fraction and a last part with the rest.

    Each class must have enough samples for `parts_of_class`.

    Args:
        labels: int64 (N,).
        fractions: the fraction of each class in each part, in (0, 1).
        seed: decides the parts.

    Returns:
        Sorted and disjoint indices, int64, which together cover 0 to N - 1.
    """
    random = np.random.default_rng(seed)
    parts: list[list[Indices]] = [[] for _ in range(len(fractions) + 1)]
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        ends = np.cumsum(parts_of_class(len(members), fractions))
        for part, chosen in zip(parts, np.split(members, ends), strict=True):
            part.append(chosen)
    return [np.sort(np.concatenate(part)) for part in parts]
