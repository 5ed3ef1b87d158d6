from __future__ import annotations

import threading
from typing import Any

import numpy as np
import torch

from adaptune.data.prefetch import MAX_EXPECTED, Prefetcher


class Images:
    """Images whose value is their index; notes what is read, and in which thread."""

    def __init__(self) -> None:
        self.read: list[list[int]] = []
        self.threads: list[str] = []

    def take(self, indices: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        self.read.append(indices.tolist())
        self.threads.append(threading.current_thread().name)
        return np.asarray(indices, dtype=np.uint8)


def make() -> tuple[Images, Prefetcher]:
    images: Any = Images()
    return images, Prefetcher(images, is_pinned=False)


def test_an_expected_batch_is_read_once_and_in_a_thread() -> None:
    images, prefetcher = make()
    for _ in range(2):
        prefetcher.expect(torch.tensor([3, 1]))
    assert prefetcher.take(torch.tensor([3, 1])).tolist() == [3, 1]
    assert images.read == [[3, 1]]
    assert images.threads[0].startswith("prefetch")


def test_a_batch_that_was_not_expected_is_read_at_once() -> None:
    images, prefetcher = make()
    prefetcher.expect(torch.tensor([1]))
    assert prefetcher.take(torch.tensor([2])).tolist() == [2]
    assert threading.current_thread().name in images.threads


def test_batches_that_nobody_takes_are_dropped() -> None:
    _, prefetcher = make()
    for index in range(MAX_EXPECTED + 3):
        prefetcher.expect(torch.tensor([index]))
    assert len(prefetcher._expected) == MAX_EXPECTED
    assert prefetcher.take(torch.tensor([0])).tolist() == [0]  # read again
