"""The images that a user names, by files and folders, read batch after batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from adaptune.artifacts.load import Export, Role
from adaptune.data.imagefolder import SUFFIXES
from adaptune.data.preprocessing import decode
from adaptune.errors import DataError


def image_files(paths: Sequence[Path]) -> list[Path]:
    """Files as they are; of folders, the images at any depth, in order. Hidden ones are passed over.

    Raises:
        DataError: a path does not exist, or a folder holds no image.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += _walk(path)
        elif path.exists():
            files.append(path)
        else:
            raise DataError(f"there is no image or folder {path}")
    return files


def batches(
    export: Export, files: Sequence[Path], role: Role, batch_size: int
) -> Iterator[tuple[Sequence[Path], Tensor]]:
    """The files and their images in a domain's form: float32 [B, C, H, W] on the export's device.

    Raises:
        DataError: an image cannot be read, or is smaller than the domain's crop; the message names it.
    """
    for start in range(0, len(files), batch_size):
        part = files[start : start + batch_size]
        yield part, torch.cat([_one(export, file, role) for file in part])


def _one(export: Export, file: Path, role: Role) -> Tensor:
    image = decode(file, str(file))
    try:
        return export.transform([image], role)
    except DataError as error:
        raise DataError(f"{file}: {error}") from error


def _walk(folder: Path) -> list[Path]:
    found = sorted(file for file in folder.rglob("*") if _is_image(file, folder))
    if not found:
        raise DataError(f"no image in {folder} (looked for {', '.join(sorted(SUFFIXES))})")
    return found


def _is_image(file: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return not hidden and file.suffix.lower() in SUFFIXES and file.is_file()
