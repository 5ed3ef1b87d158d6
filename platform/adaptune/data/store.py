"""Prepared images on disk: decoded once, by all cores, and memory-mapped by every process.

The images of a domain are stored in chunks of some MB. A chunk is named by a digest of everything
that decides its pixels: the stamps of its stored images and the form that they are brought to. So
nothing is ever out of date, and several processes can prepare the same images at a time: a chunk is
written once more at worst. Where a chunk ends depends on the stamps as well: an image that is
changed, added or removed costs the chunks around it, and not all that follow.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from rich.filesize import decimal

from adaptune.data.array_types import Images, Indices
from adaptune.data.chunk import Chunk
from adaptune.data.domain import ImageSource
from adaptune.data.image_set import Digests
from adaptune.data.processes import in_processes
from adaptune.data.unreadable import UnreadableImage, UnreadableImagesError
from adaptune.errors import DataError
from adaptune.files import make_folder
from adaptune.spec.data import DomainSpec

# Small enough that all processes have work almost to the end of a domain.
CHUNK_BYTES = 8 * 1024**2  # of a chunk in the mean; one has at most twice as much
_FORMAT = 2

# Called with the number of images that are prepared, and of all that are to be prepared.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class StoredImages:
    """An `ImageSet` on disk.

    Attributes:
        chunks: all images of a domain, in order.
        indices: those in the set, int64 (N,).
    """

    chunks: tuple[Chunk, ...]
    indices: Indices

    def __len__(self) -> int:
        """Return N."""
        return len(self.indices)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of an image."""
        return self.chunks[0].image_shape

    def take(self, indices: Indices) -> Images:
        """Return the images at `indices`: int64 (B,) → uint8 (B, C, H, W)."""
        images = np.empty((len(indices), *self.shape), dtype=np.uint8)
        for chunk, places, rows in self._by_chunk(self.indices[indices]):
            images[places] = chunk.read(rows)
        return images

    def subset(self, indices: Indices) -> StoredImages:
        """Return the images at `indices`, int64 (B,), without a copy."""
        return StoredImages(self.chunks, self.indices[indices])

    def stored_digests(self) -> Digests:
        """Return the SHA-256 of each image as it is stored: (N, 32)."""
        return self._digests()[:, :32]

    def pixel_digests(self) -> Digests:
        """Return the SHA-256 of the pixels of each image: (N, 32)."""
        return self._digests()[:, 32:]

    def _digests(self) -> Digests:
        digests = np.empty((len(self), 64), dtype=np.uint8)
        for chunk, places, rows in self._by_chunk(self.indices):
            digests[places] = chunk.digests()[rows]
        return digests

    def _by_chunk(self, indices: Indices) -> Iterator[tuple[Chunk, Indices, Indices]]:
        """Yield each chunk with some of the images, their places in `indices` and their rows."""
        numbers = np.searchsorted(self._starts, indices, side="right") - 1
        rows = indices - self._starts[numbers]
        for number in np.unique(numbers):
            places = np.flatnonzero(numbers == number)
            yield self.chunks[number], places, rows[places]

    @cached_property
    def _starts(self) -> Indices:
        """The index of the first image of each chunk."""
        lengths = [len(chunk.source) for chunk in self.chunks]
        starts: Indices = np.cumsum([0, *lengths[:-1]])
        return starts


def open_store(folder: Path, source: ImageSource, form: DomainSpec) -> StoredImages:
    """Return the images of a domain, most of which may have to be prepared first.

    Args:
        folder: folder of all prepared images.
        source: the images as they are stored.
        form: the form that they are brought to.

    Raises:
        DataError: a stored image is not there.
    """
    everything = np.arange(len(source))
    length = max(1, CHUNK_BYTES // (form.channels * form.size**2))
    stamps = source.stamps(everything)
    chunks = []
    start = 0
    for end in _chunk_ends(stamps, length):
        file = folder / f"{_key(stamps[start:end], form)}.npy"
        chunks.append(Chunk(file, source.subset(everything[start:end]), form))
        start = end
    return StoredImages(tuple(chunks), everything)


def missing_chunks(images: StoredImages) -> list[Chunk]:
    """Return the chunks that have not been prepared yet."""
    return [chunk for chunk in images.chunks if not chunk.is_prepared]


def prepare_missing(images: StoredImages, workers: int, progress: Progress | None = None) -> None:
    """Prepare the images that have not been prepared yet.

    Args:
        workers: number of processes.
        progress: called after each chunk.

    Raises:
        UnreadableImagesError: some images cannot be read.
        DataError: there is too little space for the prepared images.
    """
    missing = missing_chunks(images)
    if not missing:
        return
    folder = missing[0].file.parent
    try:
        make_folder(folder)
        _require_space(folder, missing)
        # Processes that prepare the same images at a time should not meet at the same chunk.
        random.Random().shuffle(missing)
        unreadable = _write_all(missing, min(workers, len(missing)), progress)
    except OSError as error:
        raise DataError(
            f"the prepared images cannot be written to {folder} (data.cache): {error}"
        ) from error
    if unreadable:
        raise UnreadableImagesError(unreadable)


def _write_all(
    chunks: Sequence[Chunk], workers: int, progress: Progress | None
) -> list[UnreadableImage]:
    """Write chunks by several processes; return the images that cannot be read."""
    total = sum(len(chunk.source) for chunk in chunks)
    done = 0
    unreadable: list[UnreadableImage] = []
    for count, unreadable_of_chunk in in_processes(_write, chunks, workers):
        done += count
        unreadable += unreadable_of_chunk
        if progress is not None:
            progress(done, total)
    return unreadable


def _write(chunk: Chunk) -> tuple[int, list[UnreadableImage]]:
    return len(chunk.source), chunk.write()


def _chunk_ends(stamps: Sequence[str], length: int) -> Iterator[int]:
    """Yield the index after the last image of each chunk.

    Args:
        length: images of a chunk, about; one has at most twice as many.
    """
    start = 0
    for end, stamp in enumerate(stamps, 1):
        digest = zlib.crc32(stamp.encode("utf-8", "surrogateescape"))
        if digest % length == 0 or end - start == 2 * length or end == len(stamps):
            yield end
            start = end


def _key(stamps: Sequence[str], form: DomainSpec) -> str:
    settings = {key: value for key, value in form.form().items() if key != "limit"}
    text = json.dumps([_FORMAT, settings, *stamps], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _require_space(folder: Path, missing: Sequence[Chunk]) -> None:
    count = sum(len(chunk.source) for chunk in missing)
    needed = sum(chunk.nbytes for chunk in missing)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"{count:,} prepared images need {decimal(needed)}, but {folder} has {decimal(free)}"
            " left: set data.cache to a folder with more space, or lower `limit` or `size` in the"
            " section `data`"
        )
