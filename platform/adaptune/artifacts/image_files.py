"""Image files named by a user, and their pixels."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from adaptune.data.array_types import Pixels
from adaptune.data.domain import Decoding
from adaptune.data.formats import accepted_suffixes
from adaptune.data.image_walk import walk_images
from adaptune.data.preprocessing import check_form, decode, images_of_any_size
from adaptune.errors import DataError
from adaptune.spec.data import DomainSpec

T = TypeVar("T")
Paths = Path | str | Sequence[Path | str]
BadImage = Callable[[DataError], None]


@dataclass(frozen=True)
class ImageFile:
    """An image file that a user named, by itself or by a folder.

    Attributes:
        path: the file.
        name: its path within the folder that was named, or the name of a file.
    """

    path: Path
    name: Path


def image_files(paths: Paths) -> list[ImageFile]:
    """Return the image files that one path or several paths name, in order.

    Files are returned as they are. A folder stands for the images in it at any depth, sorted by
    path, as in a domain `imagefolder:PATH`. Hidden and system entries are skipped.

    Raises:
        DataError: a path does not exist or is a pipe or device, or a folder contains no image or
            cannot be read.
    """
    # A string is a sequence, too: of its characters.
    if isinstance(paths, Path | str):
        paths = [paths]
    files: list[ImageFile] = []
    for path in map(Path, paths):
        if path.is_dir():
            files += [ImageFile(file, file.relative_to(path)) for file in _images_in(path)]
        elif path.is_file():
            files.append(ImageFile(path, Path(path.name)))
        elif path.exists():  # a pipe would be waited for without end
            raise DataError(f"{path} is neither a file nor a folder")
        else:
            raise DataError(f"there is no image or folder {path}")
    return files


def read_images(
    files: Iterable[ImageFile], domain: DomainSpec, on_bad_image: BadImage | None = None
) -> Iterator[tuple[ImageFile, Pixels]]:
    """Yield image files with their pixels, uint8 or uint16, (H, W, C) as they are stored.

    Args:
        domain: the form that the images must have.
        on_bad_image: called with the error of an image that cannot be used, which is then passed
            over. With None, the error is raised.

    Raises:
        DataError: an image cannot be read or is smaller than the domain's crop.
    """
    for file in files:
        try:
            with images_of_any_size():
                pixels = decode(file.path, str(file.path), Decoding.of(domain))
            pixels = pixels if pixels.ndim == 3 else pixels[..., None]
            _check(pixels, file, domain)
        except DataError as error:
            if on_bad_image is None:
                raise
            on_bad_image(error)
            continue
        # The yield is outside the block above, which changes settings of the caller's code.
        yield file, pixels


def in_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of `size` items; the last one may be shorter."""
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


def _check(pixels: Pixels, file: ImageFile, domain: DomainSpec) -> None:
    try:
        check_form(pixels[None], domain.channels, domain.crop)
    except DataError as error:
        raise DataError(f"{file.path}: {error}") from error


def _images_in(folder: Path) -> list[Path]:
    files = [Path(file) for file in walk_images(folder).images]
    if not files:
        suffixes = ", ".join(sorted(accepted_suffixes()))
        raise DataError(f"no image in {folder} (supported suffixes: {suffixes})")
    return files
