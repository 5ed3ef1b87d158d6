from __future__ import annotations

import numpy as np

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


def test_what_is_stored_as_pixels_has_their_digests() -> None:
    images = in_memory(PIXELS)
    assert np.array_equal(images.stored_digests(), images.pixel_digests())
    assert len({row.tobytes() for row in images.stored_digests()}) == 3
