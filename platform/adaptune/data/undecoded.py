"""Data sets whose images are still to be decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import joblib
import numpy as np

from adaptune.data.array_types import Images, Indices, Mask
from adaptune.data.chunk import Chunk
from adaptune.data.domain import Domain, RawDomain
from adaptune.data.identity import DomainIdentity, array_digests, identify_domain
from adaptune.data.image_set import Digests, ImageSet, MemoryImages, digest_rows
from adaptune.data.memory import require_memory
from adaptune.data.preprocessing import prepare_as
from adaptune.data.store import (
    Progress,
    StoredImages,
    missing_chunks,
    open_store,
    prepare_missing,
)
from adaptune.errors import DataError
from adaptune.spec.data import DomainSpec


@dataclass(frozen=True)
class UndecodedDomain:
    """A data set before its images are decoded and brought to the common form.

    Attributes:
        spec: the name of the domain and the form of its images.
        raw: the data set as its loader returns it.
        indices: the samples to use, int64 (N,).
        cache: folder of prepared images.
    """

    spec: DomainSpec
    raw: RawDomain
    indices: Indices
    cache: Path

    @property
    def nbytes(self) -> int:
        """Memory of the prepared images: one byte per channel of a pixel, or 0 if on disk."""
        if not isinstance(self.raw.images, np.ndarray):
            return 0
        return len(self.indices) * self.spec.channels * self.spec.size**2

    @property
    def is_test(self) -> Mask | None:
        """Mask of the samples of a test set that the user names, bool (N,); None without one."""
        if self.raw.test_start is None:
            return None
        mask: Mask = self.indices >= self.raw.test_start
        return mask

    def decode(self, progress: Progress | None = None) -> Domain:
        """Return the data set in the common form.

        Args:
            progress: called while images are decoded.

        Raises:
            DataError: an image cannot be read; the message names all such images.
        """
        try:
            images = self.prepare(progress)
        except DataError as error:
            raise DataError(f"domain {self.spec.domain}: {error}") from error
        return Domain(
            self.spec.domain,
            images,
            self.raw.labels[self.indices],
            self.raw.class_names,
            self.identity(images.stored_digests()),
            self.raw.notes,
        )

    def missing_chunks(self) -> list[Chunk]:
        """Return what has to be prepared on disk; nothing for images in memory.

        Raises:
            DataError: a stored image is not there.
        """
        if isinstance(self.raw.images, np.ndarray):
            return []
        return missing_chunks(self._stored)

    def prepare(self, progress: Progress | None = None) -> ImageSet:
        """Return the images in the common form.

        Raises:
            UnreadableImagesError: some stored images cannot be read.
            DataError: the prepared images cannot be written, or do not have the form that the spec
                requires.
        """
        if isinstance(self.raw.images, np.ndarray):
            return self._prepared_array(self.raw.images)
        prepare_missing(self._stored, joblib.cpu_count(), progress)
        return self._stored

    def identity(self, digests: Digests) -> DomainIdentity:
        """Return the identity of the samples to use.

        Args:
            digests: SHA-256 of each image as it is stored, (N, 32).
        """
        spec = self.spec
        # A path is left out: data that is mounted elsewhere is the same data.
        settings = spec.form()
        labels = self.raw.labels[self.indices]
        rows = [row.tobytes() for row in digests]
        return identify_domain(rows, labels, self.raw.class_names, settings)

    @cached_property  # it reads the stamps of all files
    def _stored(self) -> StoredImages:
        source = self.raw.images
        assert not isinstance(source, np.ndarray)
        if len(self.indices) < len(source):
            source = source.subset(self.indices)
        return open_store(self.cache, source, self.spec)

    def _prepared_array(self, images: Images) -> MemoryImages:
        spec = self.spec
        stored = images if self.raw.stored is None else self.raw.stored
        digests = array_digests(stored[self.indices])
        pixels = prepare_as(spec, images[self.indices])
        return MemoryImages(pixels, digest_rows(digests))


def check_memory(domains: Sequence[UndecodedDomain], copies: Literal[1, 2] = 1) -> None:
    """Check that the images of some data sets fit in memory, before any of them is decoded.

    Args:
        copies: number of times that each image is in memory.

    Raises:
        DataError: there is too little memory.
    """
    counts = []
    for domain in domains:
        counts.append(f"{len(domain.indices):,} of {domain.spec.domain}")
    form = domains[0].spec
    purpose = f"images of {form.size} px with {form.channels} channel(s) ({', '.join(counts)})"
    if copies > 1:
        purpose += ", and the parts that they are split into,"
    require_memory(
        copies * sum(domain.nbytes for domain in domains),
        purpose,
        "lower `limit` or `size` in the section `data`",
    )
