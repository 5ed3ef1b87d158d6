"""Loader of images in folders, one folder per class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from adaptune.data.domain import LoadRequest, RawDomain
from adaptune.data.image_files import ImageFiles
from adaptune.errors import DataError

SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
)


def imagefolder(request: LoadRequest) -> RawDomain:
    """Load the images in `request.path`/CLASS/, with the folders' sorted names as classes.

    Hidden files and folders and files with other suffixes are ignored.

    Raises:
        DataError: the folder does not exist or cannot be read, has no class folder, or a class
            folder has no image. An unreadable image raises it when it is decoded.
    """
    path = request.path
    assert path is not None  # the registry entry requires a path
    files: list[Path] = []
    labels: list[int] = []
    try:
        folders = _class_folders(path)
        for label, folder in enumerate(folders):
            class_files = _image_files(folder)
            files += class_files
            labels += [label] * len(class_files)
    except OSError as error:
        raise DataError(f"imagefolder: {path} cannot be read: {error}") from error
    return RawDomain(
        images=ImageFiles(tuple(map(str, files)), request.decoding),
        labels=np.array(labels, dtype=np.int64),
        class_names=tuple(folder.name for folder in folders),
    )


def _class_folders(path: Path) -> list[Path]:
    if not path.is_dir():
        raise DataError(f"imagefolder: there is no folder {path}")
    folders = [entry for entry in path.iterdir() if entry.is_dir() and not _is_hidden(entry)]
    if not folders:
        raise DataError(
            f"imagefolder: {path} has no class folders; images belong in {path}/CLASS_NAME/"
        )
    return sorted(folders)


def _image_files(folder: Path) -> list[Path]:
    files = [file for file in folder.iterdir() if _is_image(file)]
    if not files:
        suffixes = ", ".join(sorted(SUFFIXES))
        raise DataError(f"imagefolder: no image in {folder} (looked for {suffixes})")
    return sorted(files)


def _is_image(file: Path) -> bool:
    return file.is_file() and file.suffix.lower() in SUFFIXES and not _is_hidden(file)


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".")
