from __future__ import annotations

import numpy as np
import pytest

from adaptune.data import image_set
from adaptune.data.identity import array_digests
from adaptune.data.image_set import MemoryImages, digest_rows, in_batches, in_memory

PIXELS = np.arange(3 * 2 * 4 * 4, dtype=np.uint8).reshape(3, 2, 4, 4)


def test_images_in_memory_are_taken_by_index() -> None:
    images = in_memory(PIXELS)
    assert len(images) == 3
    assert images.shape == (2, 4, 4)
    assert np.array_equal(images.take(np.array([2, 0])), PIXELS[[2, 0]])


def test_all_images_come_in_batches_in_their_order() -> None:
    pixels = np.arange(1100, dtype=np.uint16).astype(np.uint8)[:, None, None, None]
    batches = list(in_batches(in_memory(pixels)))
    assert [len(batch) for batch in batches] == [512, 512, 76]
    assert np.array_equal(np.concatenate(batches), pixels)


def test_a_subset_has_its_own_images_and_digests() -> None:
    images = MemoryImages(PIXELS, digest_rows([bytes([value] * 32) for value in range(3)]))
    subset = images.subset(np.array([2, 1]))
    assert np.array_equal(subset.take(np.arange(2)), PIXELS[[2, 1]])
    assert subset.stored_digests()[:, 0].tolist() == [2, 1]
    assert subset.pixel_digests()[0].tobytes() == array_digests(PIXELS)[2]


def test_batches_are_small_in_number_and_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    images = in_memory(PIXELS)
    assert [len(batch) for batch in in_batches(images)] == [3]
    monkeypatch.setattr(image_set, "_BATCH_BYTES", 2 * 2 * 4 * 4)
    assert [len(batch) for batch in in_batches(images)] == [2, 1]
    assert np.array_equal(np.concatenate(list(in_batches(images))), PIXELS)
    monkeypatch.setattr(image_set, "_BATCH_BYTES", 1)
    assert [len(batch) for batch in in_batches(images)] == [1, 1, 1]


def test_what_is_stored_as_pixels_has_their_digests() -> None:
    images = in_memory(PIXELS)
    assert np.array_equal(images.stored_digests(), images.pixel_digests())
    assert len({row.tobytes() for row in images.stored_digests()}) == 3
