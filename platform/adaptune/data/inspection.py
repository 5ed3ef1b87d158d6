"""A domain as it is inspected: everything that can be known of it without training.

Unlike a search, an inspection does not stop at images that cannot be read.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from adaptune.data.array_types import Images, Indices, Labels
from adaptune.data.class_match import ClassMatch
from adaptune.data.headers import DescribedSource
from adaptune.data.identity import DomainIdentity
from adaptune.data.image_set import ImageSet
from adaptune.data.parts import LabelledSamples
from adaptune.data.store import Progress
from adaptune.data.undecoded import UndecodedDomain
from adaptune.data.unreadable import UnreadableImage, UnreadableImagesError
from adaptune.data.used_range import range_note
from adaptune.errors import DataError


@dataclass(frozen=True)
class StoredForms:
    """The forms of the images of a domain as they are stored.

    Attributes:
        sizes: int64 (N, 2), width and height in px, sorted by area.
        forms: how many images have each format, number of channels and bit depth.
    """

    sizes: npt.NDArray[np.int64]
    forms: Counter[str]


@dataclass(frozen=True)
class InspectedDomain:
    """A domain with the images that can be read, and the reasons why others cannot.

    Attributes:
        undecoded: the domain with the N images that can be read.
        images: the same images as the networks see them.
        labels: int64 (N,), an index into `class_names` or `UNLABELLED`.
        class_names: K names: those that a search uses, or all if the domains do not match.
        unreadable: one message per image that cannot be read.
        range_note: a remark on the range of the stored values, if there is one.
    """

    undecoded: UndecodedDomain
    images: ImageSet
    labels: Labels
    class_names: tuple[str, ...]
    unreadable: tuple[str, ...]
    range_note: str | None

    @property
    def name(self) -> str:
        """The name of the domain in the spec."""
        return self.undecoded.spec.domain

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks of the loader, such as how many files it passed over."""
        return self.undecoded.raw.notes

    @property
    def identity(self) -> DomainIdentity:
        """Identity of the images that can be read, as that of a search's domain."""
        return self.undecoded.identity(self.images.stored_digests())

    @property
    def samples(self) -> LabelledSamples:
        """The labels of the images, as they are split into parts."""
        return LabelledSamples(self.name, self.labels, self.class_names, self.undecoded.is_test)

    def __len__(self) -> int:
        """Return the number of readable images."""
        return len(self.images)

    def image(self, index: int) -> Images:
        """Return an image as the networks see it: uint8 (C, H, W)."""
        image: Images = self.images.take(np.array([index]))[0]
        return image

    def image_name(self, index: int) -> str:
        """Return the name of an image, relative to the path of the domain."""
        source = self.undecoded.raw.images
        stored = int(self.undecoded.indices[index])
        if isinstance(source, np.ndarray):
            return f"sample {stored}"
        _, _, folder = self.name.partition(":")
        return source.name(stored).removeprefix(os.path.join(os.path.expanduser(folder), ""))

    def stored_forms(self) -> StoredForms:
        """Return the forms of the images as they are stored, from their headers."""
        source = self.undecoded.raw.images
        forms: Counter[str] = Counter()
        sizes: list[tuple[int, int]] = []
        if isinstance(source, np.ndarray):
            height, width = source.shape[1:3]
            sizes = [(width, height)] * len(self)
            channels = source.shape[3] if source.ndim == 4 else 1
            forms[f"array, {channels} channel(s), {8 * source.itemsize} bit"] = len(self)
        elif isinstance(source, DescribedSource):
            for index in self.undecoded.indices:
                try:
                    header = source.header(int(index))
                except DataError:  # a form that has no header, such as lists of numbers
                    forms["unknown"] += 1
                    continue
                sizes.append((header.width, header.height))
                forms[header.form] += 1
        table = np.array(sizes, dtype=np.int64).reshape(-1, 2)
        by_area = np.argsort(table.prod(axis=1), kind="stable")
        return StoredForms(table[by_area], forms)


def inspect_domain(
    undecoded: UndecodedDomain, match: ClassMatch | None = None, progress: Progress | None = None
) -> InspectedDomain:
    """Prepare all images of a domain in the same store as a search.

    Args:
        match: the classes of both domains, or None if the domains do not match.
        progress: called while images are prepared.

    Raises:
        DataError: no image can be read, or the prepared images cannot be written.
    """
    try:
        readable, images, unreadable = _prepare_readable(undecoded, progress)
    except DataError as error:
        raise DataError(f"domain {undecoded.spec.domain}: {error}") from error
    labels = readable.raw.labels[readable.indices]
    class_names = readable.raw.class_names
    if match is not None:
        labels = match.labels_of(readable)
        class_names = match.class_names
    return InspectedDomain(
        undecoded=readable,
        images=images,
        labels=labels,
        class_names=class_names,
        unreadable=tuple(image.reason for image in sorted(unreadable)),
        range_note=range_note(readable),
    )


def _prepare_readable(
    undecoded: UndecodedDomain, progress: Progress | None
) -> tuple[UndecodedDomain, ImageSet, Sequence[UnreadableImage]]:
    """Prepare the images that can be read, and return those that cannot.

    After an unreadable image, other images share a chunk of the store. They are prepared once more,
    as a search will do after the unreadable images were deleted.
    """
    try:
        return undecoded, undecoded.prepare(progress), ()
    except UnreadableImagesError as error:
        unreadable = error.images
    readable = _without(undecoded, unreadable)
    return readable, readable.prepare(progress), unreadable


def _without(undecoded: UndecodedDomain, unreadable: Sequence[UnreadableImage]) -> UndecodedDomain:
    """Return a domain without some of its images.

    Raises:
        DataError: no image remains.
    """
    source = undecoded.raw.images
    assert not isinstance(source, np.ndarray)  # only files can be unreadable
    names = {image.name for image in unreadable}
    remaining = [index for index in undecoded.indices if source.name(int(index)) not in names]
    if not remaining:
        raise DataError(f"no image can be read: {min(unreadable).reason}")
    indices: Indices = np.array(remaining, dtype=np.int64)
    return replace(undecoded, indices=indices)
