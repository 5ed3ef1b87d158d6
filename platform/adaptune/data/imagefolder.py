"""Images in folders, one folder a class."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from adaptune.data.domain import RawDomain
from adaptune.data.preprocessing import decode
from adaptune.errors import DataError

SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
)


def imagefolder(path: Path) -> RawDomain:
    """The images of `path`/CLASS/; other files and hidden ones are passed over.

    Raises:
        DataError: no such folder, no class folder in it, or a class folder without images. An image that
            cannot be read raises it when it is decoded.
    """
    if not path.is_dir():
        raise DataError(f"imagefolder: there is no folder {path}")
    folders = sorted(
        entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )
    if not folders:
        raise DataError(
            f"imagefolder: {path} has no class folders; images belong in {path}/CLASS_NAME/"
        )
    files: list[Path] = []
    labels: list[int] = []
    for label, folder in enumerate(folders):
        found = sorted(file for file in folder.iterdir() if _is_image(file))
        if not found:
            raise DataError(
                f"imagefolder: no image in {folder} (looked for {', '.join(sorted(SUFFIXES))})"
            )
        files += found
        labels += [label] * len(found)
    return RawDomain(
        images=[partial(decode, file, str(file)) for file in files],
        labels=np.array(labels, dtype=np.int64),
        class_names=tuple(folder.name for folder in folders),
    )


def _is_image(file: Path) -> bool:
    return file.is_file() and file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
