"""A file of some prepared images."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from adaptune.data.array_types import Images, Indices
from adaptune.data.domain import ImageSource
from adaptune.data.identity import array_digests
from adaptune.data.image_set import Digests, digest_rows
from adaptune.data.preprocessing import images_of_any_size, prepare_as
from adaptune.data.unreadable import UnreadableImage, UnreadableImagesError, unreadable_image
from adaptune.errors import DataError
from adaptune.files import make_folder, write_file
from adaptune.spec.data import DomainSpec


@dataclass(frozen=True)
class Chunk:
    """Some images of a domain, as they are stored and as they are prepared.

    Attributes:
        file: file of the prepared images, uint8 (n, C, H, W), in NumPy's format.
        source: the stored images, n of them.
        form: the form that they are brought to.
    """

    file: Path
    source: ImageSource
    form: DomainSpec

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of a prepared image."""
        return self.form.channels, self.form.size, self.form.size

    @property
    def nbytes(self) -> int:
        """Size of the prepared images."""
        return len(self.source) * math.prod(self.image_shape)

    @property
    def is_prepared(self) -> bool:
        """True if both files are there; a cache may have been cleaned in part."""
        return self.file.exists() and self.digests_file.exists()

    @property
    def digests_file(self) -> Path:
        """File of the digests of the stored and of the prepared images, uint8 (n, 64)."""
        return self.file.with_suffix(".digests.npy")

    def write(self) -> list[UnreadableImage]:
        """Prepare the images unless that has been done; return those that cannot be read.

        Raises:
            OSError: the file cannot be written.
        """
        if self.is_prepared:  # another process was faster
            return []
        prepared, digests, unreadable = self.prepare()
        if unreadable:
            return unreadable
        make_folder(self.file.parent)
        both = np.hstack([digest_rows(digests), digest_rows(array_digests(prepared))])
        write_file(self.digests_file, _npy(both))
        write_file(self.file, _npy(prepared))
        return []

    def prepare(self) -> tuple[Images, list[bytes], list[UnreadableImage]]:
        """Read the stored images, and bring them to the form; nothing is written.

        Returns:
            The prepared images, uint8 (n, C, H, W), the digests of the stored ones, and those that
            cannot be read.
        """
        prepared = np.empty((len(self.source), *self.image_shape), dtype=np.uint8)
        digests = []
        unreadable = []
        with images_of_any_size():
            for row, image in enumerate(self.source.read(np.arange(len(self.source)))):
                try:
                    if isinstance(image, DataError):
                        raise image
                    prepared[row] = prepare_as(self.form, image.pixels[None])[0]
                    digests.append(image.digest)
                except DataError as error:
                    unreadable.append(unreadable_image(self.source.name(row), error))
        return prepared, digests, unreadable

    def read(self, rows: Indices) -> Images:
        """Return the prepared images at `rows`: int64 (B,) → uint8 (B, C, H, W).

        The file is mapped for this call only: pages that stay mapped count as memory of the
        process.

        Raises:
            DataError: they are not on this node, and the stored images cannot be read here.
        """
        images: Images = self._open(self.file)[rows]
        return images

    def digests(self) -> Digests:
        """Return the digests of the stored and of the prepared images: uint8 (n, 64)."""
        digests: Digests = self._open(self.digests_file)
        return digests

    def _open(self, file: Path) -> npt.NDArray[np.uint8]:
        if not file.exists():  # a cache of another node, or one that was cleaned
            unreadable = self.write()
            if unreadable:
                raise UnreadableImagesError(unreadable)
        mapped: npt.NDArray[np.uint8] = np.load(file, mmap_mode="r")
        return mapped


def _npy(array: Images) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()
