"""Copies of images in two domains, and which of them lead into the held-out test set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from adaptune.data.array_types import Images, Indices
from adaptune.data.duplicates import describe, first_of_equals, near_duplicates
from adaptune.data.image_set import ImageSet, in_batches


@dataclass(frozen=True)
class Copy:
    """Two images that are the same, or nearly the same.

    Attributes:
        first: index of an image among all images; an image of the test set if only one is.
        second: index of the other image.
        similarity: how much the two agree after alignment, up to 1; None if they are stored as the
            same bytes.
    """

    first: int
    second: int
    similarity: float | None


def find_copies(domains: Sequence[ImageSet], is_test: npt.NDArray[np.bool_]) -> list[Copy]:
    """Return the copies among the images of some domains, the most similar first.

    An image with many exact copies is in few pairs. Each image of the test set that has a copy
    outside the test set is in a pair with one.

    Args:
        domains: the images of each domain, N in all. Indices run through all of them.
        is_test: True for the images of the held-out test set, (N,).
    """
    firsts = first_of_equals(np.concatenate([images.stored_digests() for images in domains]))
    groups = _groups(firsts)
    copies = []
    for members in groups.values():
        for first, second in _pairs_within(members, is_test):
            copies.append(Copy(first, second, None))
    distinct = np.unique(firsts)
    descriptors = describe(chain.from_iterable(map(in_batches, domains))).subset(distinct)
    domain_of = np.repeat(np.arange(len(domains)), [len(images) for images in domains])
    similarities = near_duplicates(
        descriptors, lambda indices: _take(domains, distinct[indices]), domain_of[distinct]
    )
    similarities.sort(key=lambda near: -near.similarity)
    for near in similarities:
        left = int(distinct[near.first])
        right = int(distinct[near.second])
        pairs = _pairs_between(groups.get(left, [left]), groups.get(right, [right]), is_test)
        for first, second in pairs:
            copies.append(Copy(first, second, near.similarity))
    return copies


def leaks(copies: Sequence[Copy], is_test: npt.NDArray[np.bool_]) -> list[Copy]:
    """Return the most similar copy outside the test set of each image of the test set."""
    best: dict[int, Copy] = {}
    for copy in copies:
        if is_test[copy.first] and not is_test[copy.second]:
            best.setdefault(copy.first, copy)
    return list(best.values())


def _groups(firsts: Indices) -> dict[int, list[int]]:
    """Return the images with equal digests by the first of them, if there are at least two."""
    sizes = np.bincount(firsts, minlength=len(firsts))
    groups: dict[int, list[int]] = {}
    for index in np.flatnonzero(sizes[firsts] > 1):
        groups.setdefault(int(firsts[index]), []).append(int(index))
    return groups


def _pairs_within(members: list[int], is_test: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    tests, others = _divide(members, is_test)
    if not others:
        return [(tests[0], test) for test in tests[1:]]
    pairs = [(test, others[0]) for test in tests]
    return pairs + [(others[0], other) for other in others[1:]]


def _pairs_between(
    left: list[int], right: list[int], is_test: npt.NDArray[np.bool_]
) -> list[tuple[int, int]]:
    left_tests, left_others = _divide(left, is_test)
    right_tests, right_others = _divide(right, is_test)
    pairs = []
    if right_others:
        pairs += [(test, right_others[0]) for test in left_tests]
    if left_others:
        pairs += [(test, left_others[0]) for test in right_tests]
    return pairs or [(left[0], right[0])]


def _divide(members: list[int], is_test: npt.NDArray[np.bool_]) -> tuple[list[int], list[int]]:
    tests = [member for member in members if is_test[member]]
    others = [member for member in members if not is_test[member]]
    return tests, others


def _take(domains: Sequence[ImageSet], indices: Indices) -> Images:
    """Return the images at some indices that run through all domains: uint8 (B, C, H, W)."""
    taken = np.empty((len(indices), *domains[0].shape), dtype=np.uint8)
    start = 0
    for images in domains:
        is_here = (indices >= start) & (indices < start + len(images))
        taken[is_here] = images.take(indices[is_here] - start)
        start += len(images)
    return taken
