"""Translations of image files by G_st and G_ts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from adaptune.artifacts.format import Direction, Role
from adaptune.artifacts.image_files import Notify, Paths, apply_to_files, image_files
from adaptune.artifacts.load import Export
from adaptune.data.arrays import ARRAY_SUFFIX
from adaptune.errors import ResultsError

_CHANNELS_OF_PNG = (1, 3)
_INPUT_ROLES: dict[Direction, Role] = {
    "source_to_target": "source",
    "target_to_source": "target",
}


def translate(
    export: Export,
    paths: Paths,
    to: Path | str,
    direction: Direction,
    batch_size: int = 32,
    notify: Notify = lambda done, total: None,
) -> list[Path]:
    """Translate image files to the other domain and write them as PNGs to the folder `to`.

    A PNG has the stem of its input. If two inputs share a stem, or if an input would be
    overwritten, a number is appended. Other files of the same name in `to` are overwritten. Images
    of other than one or three channels are written as arrays (`.npy`, uint8 (H, W, C)).

    Args:
        paths: image files, and folders whose images at any depth are translated.
        to: the output folder; created if necessary.
        notify: called with the numbers of images that are done and of all.

    Returns:
        The files, in the order of the inputs.

    Raises:
        DataError: a path does not exist, or an image cannot be used.
        ResultsError: a file cannot be written.
    """
    files = image_files(paths)
    role = _INPUT_ROLES[direction]
    suffix = ".png" if export.domains[role].channels in _CHANNELS_OF_PNG else ARRAY_SUFFIX
    outputs = _output_paths(files, Path(to), suffix)
    remaining_outputs = iter(outputs)
    batches = apply_to_files(
        export.generators[direction],
        files,
        export=export,
        role=role,
        batch_size=batch_size,
        notify=notify,
    )
    for _, translated_images in batches:
        for image in translated_images:
            _write_image(image, next(remaining_outputs))
    return outputs


def _output_paths(files: Sequence[Path], folder: Path, suffix: str) -> list[Path]:
    real_folder = folder.resolve()
    # Some file systems ignore case: there, A.png would overwrite a.png.
    taken = {str(file.resolve()).casefold() for file in files}
    last_numbers: dict[str, int] = {}  # by stem
    outputs: list[Path] = []
    for file in files:
        name = f"{file.stem}{suffix}"
        number = last_numbers.get(file.stem.casefold(), 1)
        while (place := str(real_folder / name).casefold()) in taken:
            number += 1
            name = f"{file.stem}-{number}{suffix}"
        last_numbers[file.stem.casefold()] = number
        taken.add(place)
        outputs.append(folder / name)
    return outputs


def _write_image(image: Tensor, path: Path) -> None:
    """Write an image, float [C, H, W] in [-1, 1], with 8 bits as a PNG or an array."""
    from PIL import Image

    scaled = ((image + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    pixels = scaled.permute(1, 2, 0).cpu().numpy()
    if pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ARRAY_SUFFIX:
            np.save(path, pixels, allow_pickle=False)
        else:
            Image.fromarray(pixels).save(path, "PNG")
    except OSError as error:
        raise ResultsError(f"cannot write {path}: {error}") from error
