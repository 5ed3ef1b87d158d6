"""Loader of images that a text file or a CSV file names."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from adaptune.data.array_types import Labels
from adaptune.data.domain import UNLABELLED, LoadRequest, RawDomain
from adaptune.data.image_files import ImageFiles
from adaptune.data.list_file import ListedImage, read_list
from adaptune.errors import DataError

# pandas writes integers as 3.0 if some are missing.
_INTEGER = re.compile(r"\d+(\.0+)?")


def imagelist(request: LoadRequest) -> RawDomain:
    """Load the images that the file `request.path` names.

    Paths are relative to the folder of the list, or to the first folder above it in which the
    first path exists. Labels that are all integers are ordered as numbers, and their decimals are
    the class names; otherwise the labels are the class names, sorted. An image without a label, or
    with -1, is unlabelled.

    Raises:
        DataError: the list cannot be read or names no image, an image does not exist, or an image
            has two labels. An unreadable image raises it when it is decoded.
    """
    file = request.path
    assert file is not None  # the registry entry requires a path
    images = read_list(file)
    root = _root(file, images[0])
    by_path: dict[str, ListedImage] = {}
    repeated = 0
    for image in images:
        path = os.path.normpath(os.path.join(root, image.path))
        earlier = by_path.setdefault(path, image)
        if earlier is not image:
            _check_label(file, earlier, image)
            repeated += 1
    _check_files(file, by_path)
    labels, class_names = _labels([image.label for image in by_path.values()])
    notes: tuple[str, ...] = ()
    if repeated:
        notes = (f"imagelist:{file}: {repeated:,} line(s) repeat an earlier one and are not used",)
    source = ImageFiles(tuple(by_path), request.decoding)
    return RawDomain(source, labels, class_names, notes=notes)


def _root(file: Path, first: ListedImage) -> str:
    """Return the folder that the paths are relative to."""
    folder = os.path.dirname(os.path.abspath(file))
    candidates = [folder, *map(str, Path(folder).parents)]
    for candidate in candidates:
        if os.path.isfile(os.path.join(candidate, first.path)):
            return candidate
    searched = f" in {folder} and the folders above it"
    if os.path.isabs(first.path):
        searched = "; if the list is from another machine, make its paths relative to its folder"
    raise DataError(f"imagelist: {file}, line {first.line}: no file {first.path}{searched}")


def _check_label(file: Path, earlier: ListedImage, image: ListedImage) -> None:
    if earlier.label != image.label:
        raise DataError(
            f"imagelist: {file} gives {image.path} two labels: {earlier.label!r} in line"
            f" {earlier.line} and {image.label!r} in line {image.line}"
        )


def _check_files(file: Path, by_path: dict[str, ListedImage]) -> None:
    missing = [path for path in by_path if not os.path.isfile(path)]
    if missing:
        first = by_path[missing[0]]
        raise DataError(
            f"imagelist: {file} names {len(missing):,} of {len(by_path):,} files that do not exist;"
            f" the first, in line {first.line}, is {missing[0]}"
        )


def _labels(texts: list[str | None]) -> tuple[Labels, tuple[str, ...]]:
    """Return the labels, int64 (N,), and the class names in their order."""
    names = {text for text in texts if text is not None}
    if all(map(_INTEGER.fullmatch, names)):
        number_of = {name: int(name.partition(".")[0]) for name in names}
        numbers = sorted(set(number_of.values()))
        index_of_number = {number: index for index, number in enumerate(numbers)}
        index_of = {name: index_of_number[number] for name, number in number_of.items()}
        class_names = [str(number) for number in numbers]
    else:
        class_names = sorted(names)
        index_of = {name: index for index, name in enumerate(class_names)}
    labels = np.full(len(texts), UNLABELLED, dtype=np.int64)
    for position, text in enumerate(texts):
        if text is not None:
            labels[position] = index_of[text]
    return labels, tuple(class_names)
