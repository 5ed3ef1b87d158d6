"""The types of data sets: loaded (`RawDomain`) and in the common form (`Domain`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from adaptune.data.array_types import Images, Indices, Labels, Pixels
from adaptune.data.identity import DomainIdentity
from adaptune.data.image_set import ImageSet
from adaptune.errors import DataError
from adaptune.spec.data import DEFAULT_COLUMNS, ColumnsSpec, DomainSpec

UNLABELLED = -1
DIGIT_NAMES = tuple(str(digit) for digit in range(10))
ALL_SAMPLES = slice(None)
# Every second sample, so that the halves of a domain sorted by class are stratified.
FIRST_HALF = slice(0, None, 2)
SECOND_HALF = slice(1, None, 2)


@dataclass(frozen=True)
class Domain:
    """A data set in the common form.

    Attributes:
        name: the name in the spec, for messages.
        images: N images.
        labels: int64 (N,), an index into `class_names` or `UNLABELLED`.
        class_names: K names; empty if no sample is labelled.
        identity: digests of the samples as they are stored.
        notes: remarks for the user, one line each, such as how many files were passed over.
    """

    name: str
    images: ImageSet
    labels: Labels
    class_names: tuple[str, ...]
    identity: DomainIdentity
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class StoredImage:
    """An image that was read from where it is stored.

    Attributes:
        pixels: uint8 or uint16, (H, W) or (H, W, C).
        digest: SHA-256 of the image as it is stored, before it is decoded.
    """

    pixels: Pixels
    digest: bytes


class ImageSource(Protocol):
    """N images where they are stored, which are read and decoded one at a time.

    It can be pickled, so that several processes can read parts of it, and holds no pixels.
    """

    def __len__(self) -> int:
        """Return N."""
        ...

    def name(self, index: int) -> str:
        """Return the name of an image in messages."""
        ...

    def subset(self, indices: Indices) -> ImageSource:
        """Return the images at `indices` as a source."""
        ...

    def stamps(self, indices: Indices) -> list[str]:
        """Return a text for each image at `indices` that changes when what is stored changes."""
        ...

    def read(self, indices: Indices) -> Iterator[StoredImage | DataError]:
        """Yield the images at `indices` in this order, or why one cannot be read."""
        ...


@dataclass(frozen=True)
class RawDomain:
    """A data set as its loader returns it, before the images are brought to the common form.

    Attributes:
        images: one array of uint8, (N, H, W) or (N, H, W, C), 0 to 255; or N images that are read
            when they are needed.
        labels: int64 (N,), an index into `class_names` or `UNLABELLED`.
        class_names: K names; empty if no sample is labelled.
        stored: bytes (N, B) that decide the images, if an array of images depends on a decoder;
            None if the array itself is what is stored.
        notes: remarks for the user, one line each.
        test_start: index of the first sample of a held-out test set that the user names; None if
            the test is to be withheld from the samples.
    """

    images: Images | ImageSource
    labels: Labels
    class_names: tuple[str, ...]
    stored: npt.NDArray[np.uint8] | None = None
    notes: tuple[str, ...] = ()
    test_start: int | None = None


@dataclass(frozen=True)
class Decoding:
    """Options of the decoder of images.

    Attributes:
        background: RGB, 0 to 255, behind transparent pixels.
        channels: C of the domain. It decides if samples beside the colours are channels: alpha is
            the fourth channel if C is 4, and the pages of a TIFF are the channels if it has C.
    """

    background: tuple[int, int, int] = (255, 255, 255)
    channels: int = 3

    @classmethod
    def of(cls, spec: DomainSpec) -> Decoding:
        """Return the options for the images of a domain."""
        return cls(spec.background_rgb, spec.channels)


DEFAULT_DECODING = Decoding()


@dataclass(frozen=True)
class LoadRequest:
    """The arguments of a loader; each loader reads those that concern it.

    Attributes:
        root: folder of downloaded data sets.
        path: file or folder of the user's own images, or None if the domain takes no path.
        seed: seed of a domain that is generated.
        half: the samples to load if the domain has halves, `ALL_SAMPLES` otherwise.
        decoding: options of the decoder.
        columns: names of the columns of a table.
    """

    root: Path
    path: Path | None
    seed: int
    half: slice
    decoding: Decoding = DEFAULT_DECODING
    columns: ColumnsSpec = DEFAULT_COLUMNS


Loader = Callable[[LoadRequest], RawDomain]
