"""Seeded choices that keep the classes' shares."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from adaptune.data.domain import Indices, Labels


def subset(labels: Labels, limit: int | None, seed: int) -> Indices:
    """At most `limit` sorted indices; every label, unknown ones too, keeps its share to within one sample."""
    if limit is None or limit >= len(labels):
        return np.arange(len(labels))
    order = np.random.default_rng(seed).permutation(len(labels))
    shuffled = labels[order]
    # The j-th of a class of n stands at (j + ½) / n: cutting off the classes laid side by side is stratified.
    place = np.empty(len(labels))
    for label in np.unique(labels):
        own = np.flatnonzero(shuffled == label)
        place[own] = (np.arange(len(own)) + 0.5) / len(own)
    return np.sort(order[np.argsort(place, kind="stable")[:limit]])


def parts_of_class(size: int, fractions: Sequence[float]) -> list[int]:
    """How many of a class of `size` go to each part: the rounded share, but at least one."""
    return [max(1, int(size * fraction + 0.5)) for fraction in fractions]


def split(labels: Labels, fractions: Sequence[float], seed: int) -> list[Indices]:
    """One part a fraction, then the rest; sorted, disjoint indices that cover all of `labels`.

    Each class must have enough samples for `parts_of_class`.
    """
    draw = np.random.default_rng(seed)
    parts: list[list[Indices]] = [[] for _ in range(len(fractions) + 1)]
    for label in np.unique(labels):
        own = draw.permutation(np.flatnonzero(labels == label))
        ends = np.cumsum(parts_of_class(len(own), fractions))
        for part, chosen in zip(parts, np.split(own, ends), strict=True):
            part.append(chosen)
    return [np.sort(np.concatenate(part)) for part in parts]
