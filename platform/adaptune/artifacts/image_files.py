"""Image files named by a user, and networks applied to them batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from adaptune.artifacts.format import Role
from adaptune.artifacts.load import Export
from adaptune.data.domain import Decoding
from adaptune.data.formats import accepted_suffixes
from adaptune.data.image_walk import walk_images
from adaptune.data.preprocessing import decode, images_of_any_size
from adaptune.errors import DataError
from adaptune.training.inference import inference_batch_size

Paths = Path | str | Sequence[Path | str]
Notify = Callable[[int, int], object]  # numbers of images that are done, and of all


def image_files(paths: Paths) -> list[Path]:
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
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            files += _images_in(path)
        elif path.is_file():
            files.append(path)
        elif path.exists():  # a pipe would be waited for without end
            raise DataError(f"{path} is neither a file nor a folder")
        else:
            raise DataError(f"there is no image or folder {path}")
    return files


def apply_to_files(
    network: nn.Module,
    files: Sequence[Path],
    *,
    export: Export,
    role: Role,
    batch_size: int,
    notify: Notify = lambda done, total: None,
) -> Iterator[tuple[Sequence[Path], Tensor]]:
    """Yield batches of files with the network's outputs for their images.

    Args:
        network: a network of `export`, float32 [B, C, H, W] in [-1, 1] → [B, …].
        role: the domain whose preprocessing is applied to the images.
        batch_size: images per batch, or fewer if they are large.
        notify: called with the numbers of images that are done and of all.

    Raises:
        DataError: an image cannot be read or is smaller than the domain's crop.
    """
    batch_size = min(batch_size, inference_batch_size(export.domains[role].size))
    for start in range(0, len(files), batch_size):
        batch_files = files[start : start + batch_size]
        with images_of_any_size():
            images = torch.cat([_read_image(file, export, role) for file in batch_files])
        # The yield is outside the blocks: they would change settings of the caller's code.
        with torch.no_grad():
            outputs = network(images)
        yield batch_files, outputs
        notify(start + len(batch_files), len(files))


def _read_image(file: Path, export: Export, role: Role) -> Tensor:
    image = decode(file, str(file), Decoding.of(export.domains[role]))
    try:
        return export.transform([image], role)
    except DataError as error:
        raise DataError(f"{file}: {error}") from error


def _images_in(folder: Path) -> list[Path]:
    files = [Path(file) for file in walk_images(folder).images]
    if not files:
        suffixes = ", ".join(sorted(accepted_suffixes()))
        raise DataError(f"no image in {folder} (supported suffixes: {suffixes})")
    return files
