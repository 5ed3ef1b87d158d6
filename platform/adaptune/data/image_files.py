"""Images in files of their own, as an `ImageSource`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from adaptune.data.array_types import Indices
from adaptune.data.domain import DEFAULT_DECODING, Decoding, StoredImage
from adaptune.data.headers import ImageHeader, read_header
from adaptune.data.identity import image_digest
from adaptune.data.preprocessing import decode, read_image_file
from adaptune.errors import DataError


@dataclass(frozen=True)
class ImageFiles:
    """An `ImageSource` of image files.

    Attributes:
        paths: the files; texts take a fifth of the memory of `Path` objects.
        decoding: options of the decoder.
    """

    paths: tuple[str, ...]
    decoding: Decoding = DEFAULT_DECODING

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self.paths)

    def name(self, index: int) -> str:
        """Return the path of a file."""
        return self.paths[index]

    def subset(self, indices: Indices) -> ImageFiles:
        """Return the files at `indices`."""
        return ImageFiles(tuple(self.paths[index] for index in indices), self.decoding)

    def stamps(self, indices: Indices) -> list[str]:
        """Return the path, the size in bytes and the time of change in ns of each file.

        Raises:
            DataError: a file cannot be read.
        """
        stamps = []
        for index in indices:
            path = self.paths[index]
            try:
                status = os.stat(path)
            except OSError as error:
                raise DataError(f"{path} cannot be read: {error.strerror}") from error
            stamps.append(f"{path} {status.st_size} {status.st_mtime_ns}")
        return stamps

    def header(self, index: int) -> ImageHeader:
        """Return the header of a file.

        Raises:
            DataError: it cannot be read.
        """
        path = self.paths[index]
        return read_header(Path(path), path)

    def read(self, indices: Indices) -> Iterator[StoredImage | DataError]:
        """Yield the decoded files, or why one cannot be read."""
        for index in indices:
            path = self.paths[index]
            try:
                encoded = read_image_file(Path(path), path)
                pixels = decode(encoded, path, self.decoding)
                yield StoredImage(pixels, image_digest(encoded))
            except DataError as error:
                yield error
