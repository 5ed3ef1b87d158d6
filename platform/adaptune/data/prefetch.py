"""Batches that are read from disk before they are needed."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from adaptune.data.image_set import ImageSet

MAX_EXPECTED = 4  # batches; those that are never taken, as after the end of a trial, are dropped


class Prefetcher:
    """Reads batches of images in a thread.

    Args:
        images: the images.
        is_pinned: whether batches are in pinned memory, from which a GPU copies on its own.
    """

    def __init__(self, images: ImageSet, *, is_pinned: bool) -> None:
        self._images = images
        self._is_pinned = is_pinned
        self._expected: OrderedDict[bytes, Future[Tensor]] = OrderedDict()
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prefetch")

    def expect(self, indices: Tensor) -> None:
        """Begin to read the images at `indices`, int64 (B,), unless that has begun."""
        key = _key(indices)
        if key in self._expected:
            return
        if len(self._expected) == MAX_EXPECTED:
            _, oldest = self._expected.popitem(last=False)
            oldest.cancel()
        self._expected[key] = self._executor.submit(self._read, indices)

    def take(self, indices: Tensor) -> Tensor:
        """Return the images at `indices`: int64 (B,) → uint8 (B, C, H, W) on the CPU."""
        expected = self._expected.pop(_key(indices), None)
        return self._read(indices) if expected is None else expected.result()

    def _read(self, indices: Tensor) -> Tensor:
        batch = torch.from_numpy(self._images.take(indices.cpu().numpy()))
        return batch.pin_memory() if self._is_pinned else batch


def _key(indices: Tensor) -> bytes:
    return indices.cpu().numpy().tobytes()
