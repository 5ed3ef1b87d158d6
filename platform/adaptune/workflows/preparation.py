"""The estimate of the preparation of images, from a sample of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import joblib
import numpy as np

from adaptune.data.array_types import Indices
from adaptune.data.chunk import Chunk

_CHUNKS = 8  # of the sample, evenly from all of them
_PER_CHUNK = 8  # images, evenly from a chunk


@dataclass(frozen=True)
class PreparationEstimate:
    """The needs of the preparation of images.

    Attributes:
        seconds: duration with all CPUs of this machine.
        nbytes: size of the prepared images.
    """

    seconds: float
    nbytes: int


def estimate_preparation(missing: Sequence[Chunk]) -> PreparationEstimate:
    """Measure the preparation of a sample of the images; nothing is written.

    Args:
        missing: the images that have not been prepared yet.
    """
    if not missing:
        return PreparationEstimate(0.0, 0)
    samples = [_evenly(missing[index]) for index in _places(len(missing), _CHUNKS)]
    start = time.perf_counter()
    for sample in samples:
        sample.prepare()
    image_s = (time.perf_counter() - start) / sum(len(sample.source) for sample in samples)
    images = sum(len(chunk.source) for chunk in missing)
    workers = min(joblib.cpu_count(), len(missing))
    return PreparationEstimate(images * image_s / workers, sum(chunk.nbytes for chunk in missing))


def _evenly(chunk: Chunk) -> Chunk:
    """Return some images of a chunk."""
    return replace(chunk, source=chunk.source.subset(_places(len(chunk.source), _PER_CHUNK)))


def _places(count: int, most: int) -> Indices:
    return np.linspace(0, count - 1, min(count, most)).astype(np.int64)
