"""The generators on image files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from adaptune.artifacts.image_files import batches, image_files
from adaptune.artifacts.load import Export, Role
from adaptune.errors import ResultsError

Direction = Literal["source_to_target", "target_to_source"]
_INPUT: dict[Direction, Role] = {"source_to_target": "source", "target_to_source": "target"}


def translate(
    export: Export, paths: Sequence[Path], to: Path, direction: Direction, batch_size: int = 32
) -> list[Path]:
    """Translate image files, and all images in folders, to the other domain, as PNGs in the folder `to`.

    A PNG has its input's stem. A number follows where two inputs share it, or where an input would be
    overwritten; what an earlier run left in `to` is overwritten.

    Returns:
        The PNGs, in the order of the inputs.

    Raises:
        DataError: a path does not exist, or an image cannot be used.
        ResultsError: a PNG cannot be written.
    """
    files = image_files(paths)
    outputs = _outputs(files, to)
    done = 0
    for _, images in batches(export, files, _INPUT[direction], batch_size):
        with torch.no_grad():
            translated = export.generators[direction](images)
        try:
            to.mkdir(parents=True, exist_ok=True)
            for image in translated:
                _write_png(image, outputs[done])
                done += 1
        except OSError as error:
            raise ResultsError(f"cannot write {outputs[done]}: {error}") from error
    return outputs


def _outputs(files: Iterable[Path], to: Path) -> list[Path]:
    files = list(files)
    # Case is ignored, as some file systems do.
    taken = {str(file.resolve()).casefold() for file in files}
    outputs: list[Path] = []
    for file in files:
        names = (f"{file.stem}{'' if number == 1 else f'-{number}'}.png" for number in count(1))
        output = next(
            to / name for name in names if str((to / name).resolve()).casefold() not in taken
        )
        taken.add(str(output.resolve()).casefold())
        outputs.append(output)
    return outputs


def _write_png(image: Tensor, path: Path) -> None:
    """float [C, H, W] in [-1, 1] to a grey or RGB PNG of 8 bits."""
    from PIL import Image

    pixels = (
        ((image + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    )
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(path, "PNG")
