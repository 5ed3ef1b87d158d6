from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from adaptune.data.domain import (
    ALL_SAMPLES,
    DIGIT_NAMES,
    FIRST_HALF,
    SECOND_HALF,
    UNLABELLED,
    Indices,
    RawDomain,
    StoredImage,
)
from adaptune.data.identity import array_digests
from adaptune.errors import DataError

IMAGES = np.arange(3 * 2 * 2, dtype=np.uint8).reshape(3, 2, 2)
LABELS = np.array([0, 1, UNLABELLED], dtype=np.int64)


@dataclass
class Source:
    """An `ImageSource` that notes which images were decoded."""

    decoded: list[int]

    def __len__(self) -> int:
        return len(IMAGES)

    def stamps(self, indices: Indices) -> list[str]:
        return [str(index) for index in indices]

    def read(self, indices: Indices) -> Iterator[StoredImage | DataError]:
        for index in indices:
            self.decoded.append(int(index))
            yield StoredImage(IMAGES[index], bytes([index]))


def test_an_array_gives_the_images_in_the_order_of_the_indices() -> None:
    digests: list[bytes] = []
    taken = RawDomain(IMAGES, LABELS, ("a", "b")).take(np.array([2, 0]), digests)
    assert isinstance(taken, np.ndarray)
    assert np.array_equal(taken, IMAGES[[2, 0]])
    assert digests == array_digests(IMAGES[[2, 0]])
    assert len(set(digests)) == 2


def test_an_image_is_decoded_when_its_turn_comes_and_no_other_one() -> None:
    decoded: list[int] = []
    digests: list[bytes] = []
    source = Source(decoded)
    taken = iter(RawDomain(source, LABELS, ("a", "b")).take(np.array([2, 0]), digests))
    assert decoded == []
    assert np.array_equal(next(taken), IMAGES[2])
    assert decoded == [2]
    assert np.array_equal(next(taken), IMAGES[0])
    with pytest.raises(StopIteration):
        next(taken)
    assert decoded == [2, 0]
    assert digests == [b"\x02", b"\x00"]


@pytest.mark.parametrize("count", [1, 6, 7])
def test_the_halves_are_disjoint_and_cover_all_samples(count: int) -> None:
    samples = list(range(count))
    halves = [*samples[FIRST_HALF], *samples[SECOND_HALF]]
    assert sorted(halves) == samples[ALL_SAMPLES] == samples


def test_a_digit_is_its_own_class_index() -> None:
    assert [DIGIT_NAMES.index(str(digit)) for digit in range(10)] == list(range(10))
