"""A domain as it is inspected: everything that can be known of it without training.

Unlike a search, an inspection does not stop at the first image that cannot be read.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from adaptune.data.domain import Domain, Images, ImageSource, Indices, Labels
from adaptune.data.headers import DescribedSource
from adaptune.data.identity import identify_domain
from adaptune.data.preprocessing import images_of_any_size, prepare
from adaptune.data.undecoded import UndecodedDomain
from adaptune.errors import DataError
from adaptune.spec.data import DomainSpec

_CHUNK = 64


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
        undecoded: the domain as it was opened.
        readable: indices of the readable images into the stored ones, int64 (N,).
        images: uint8 (N, C, H, W), 0 to 255, as the networks see them.
        digests: SHA-256 of each stored image, uint8 (N, 32).
        unreadable: one message per image that cannot be read.
    """

    undecoded: UndecodedDomain
    readable: Indices
    images: Images
    digests: npt.NDArray[np.uint8]
    unreadable: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the domain in the spec."""
        return self.undecoded.spec.domain

    @property
    def labels(self) -> Labels:
        """The labels of the readable images, int64 (N,)."""
        return self.undecoded.raw.labels[self.readable]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.undecoded.raw.class_names

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks of the loader, such as how many files it passed over."""
        return tuple(getattr(self.undecoded.raw, "notes", ()))

    def __len__(self) -> int:
        """Return the number of readable images."""
        return len(self.readable)

    def image_name(self, index: int) -> str:
        """Return the name of a readable image, relative to the path of the domain."""
        stored = int(self.readable[index])
        source = self.undecoded.raw.images
        _, _, folder = self.name.partition(":")
        return _name(source, stored).removeprefix(os.path.join(os.path.expanduser(folder), ""))

    def stored_forms(self) -> StoredForms:
        """Return the forms of the readable images as they are stored, from their headers."""
        source = self.undecoded.raw.images
        forms: Counter[str] = Counter()
        sizes: list[tuple[int, int]] = []
        if isinstance(source, np.ndarray):
            height, width = source.shape[1:3]
            sizes = [(width, height)] * len(self)
            channels = source.shape[3] if source.ndim == 4 else 1
            forms[f"array, {channels} channel(s), {8 * source.itemsize} bit"] = len(self)
        elif isinstance(source, DescribedSource):
            for index in self.readable:
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

    def to_domain(self) -> Domain:
        """Return the readable images as a domain, which can be split as a search would."""
        spec = self.undecoded.spec
        digests = [digest.tobytes() for digest in self.digests]
        identity = identify_domain(digests, self.labels, self.class_names, spec.model_dump())
        return Domain(self.name, self.images, self.labels, self.class_names, identity)


def inspect_domain(undecoded: UndecodedDomain) -> InspectedDomain:
    """Read all images of a domain, and prepare them as a search does."""
    spec = undecoded.spec
    count = len(undecoded.indices)
    images = np.empty((count, spec.channels, spec.size, spec.size), dtype=np.uint8)
    digests = np.empty((count, 32), dtype=np.uint8)
    is_readable = np.ones(count, dtype=bool)
    unreadable = []
    with images_of_any_size():
        for position, result in enumerate(_prepared_images(undecoded)):
            if isinstance(result, DataError):
                unreadable.append(str(result))
                is_readable[position] = False
                continue
            images[position] = result.pixels
            digests[position] = np.frombuffer(result.digest, np.uint8)
    if unreadable:
        images = images[is_readable]
        digests = digests[is_readable]
    readable = undecoded.indices[is_readable]
    return InspectedDomain(undecoded, readable, images, digests, tuple(unreadable))


@dataclass(frozen=True)
class _PreparedImage:
    pixels: Images  # (C, H, W)
    digest: bytes


def _prepared_images(undecoded: UndecodedDomain) -> Iterator[_PreparedImage | DataError]:
    """Yield the images of a domain as the networks see them, or why one cannot be read."""
    spec = undecoded.spec
    source = undecoded.raw.images
    if isinstance(source, np.ndarray):
        digests: list[bytes] = []
        stored = undecoded.raw.take(undecoded.indices, digests)
        images = prepare(stored, crop=spec.crop, size=spec.size, channels=spec.channels)
        yield from map(_PreparedImage, images, digests)
        return
    starts = range(_CHUNK, len(undecoded.indices), _CHUNK)
    chunks = np.split(undecoded.indices, list(starts))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for results in pool.map(partial(_read_chunk, source, spec), chunks):
            yield from results


def _read_chunk(
    source: ImageSource, spec: DomainSpec, indices: Indices
) -> list[_PreparedImage | DataError]:
    results: list[_PreparedImage | DataError] = []
    for index, image in zip(indices, source.read(indices), strict=True):
        if isinstance(image, DataError):
            results.append(image)
            continue
        try:
            [pixels] = prepare(
                [image.pixels], crop=spec.crop, size=spec.size, channels=spec.channels
            )
        except DataError as error:
            results.append(DataError(f"{_name(source, int(index))}: {error}"))
            continue
        results.append(_PreparedImage(pixels, image.digest))
    return results


def _name(source: object, index: int) -> str:
    return source.name(index) if isinstance(source, DescribedSource) else f"sample {index}"
