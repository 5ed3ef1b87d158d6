"""Translations of image files by G_st and G_ts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from adaptune.artifacts.contact_sheets import ContactSheets
from adaptune.artifacts.format import INPUT_ROLES, Direction
from adaptune.artifacts.image_files import BadImage, ImageFile, Paths, image_files, read_images
from adaptune.artifacts.load import Export
from adaptune.artifacts.preprocess import preprocess_arrays, to_tensor, to_uint8
from adaptune.artifacts.tiles import translate_in_tiles
from adaptune.data.array_types import Images, Pixels
from adaptune.data.arrays import ARRAY_SUFFIX
from adaptune.errors import ResultsError
from adaptune.spec.data import DomainSpec
from adaptune.training.inference import inference_batch_size

_CHANNELS_OF_PNG = (1, 3)


class Translator:
    """A generator of an export, applied to images of any size.

    Args:
        export: the export.
        direction: the direction of the translation.
        resize: whether images are cropped and resized as in training. Otherwise the whole image is
            translated, see `whole`.
    """

    def __init__(self, export: Export, direction: Direction, *, resize: bool = False) -> None:
        self.domain = export.domains[INPUT_ROLES[direction]]
        if not resize:
            self.domain = self.domain.model_copy(update={"crop": None})
        self._trained = export.domains[INPUT_ROLES[direction]]
        self._generator = export.generators[direction]
        self._device = export.device
        self._resize = resize

    def __call__(self, image: Pixels) -> Images:
        """Translate an image, (H, W, C) → uint8 (H', W', C')."""
        if self._resize:
            return to_uint8(self.translate_tiles(image[None]))[0].permute(1, 2, 0).numpy()
        return self.whole(image)

    def whole(self, image: Pixels) -> Images:
        """Translate a whole image in tiles, at the scale of the training.

        With a crop, the image is scaled as the crop was; otherwise it keeps its size.
        """
        size = self._trained.size
        return translate_in_tiles(
            _scaled(image, self._trained),
            self.translate_tiles,
            size=size,
            batch_size=inference_batch_size(size),
        )

    def translate_tiles(self, images: Pixels) -> Tensor:
        """Translate images of one size: (B, H, W, C) → float32 (B, C, S, S) in [-1, 1]."""
        with torch.no_grad():
            translated: Tensor = self._generator(
                preprocess_arrays(self.domain, images).to(self._device)
            )
        return translated.cpu()


def translate(
    export: Export,
    paths: Paths,
    to: Path | str,
    direction: Direction,
    *,
    resize: bool = False,
    contact_sheets: Path | str | None = None,
    on_bad_image: BadImage | None = None,
) -> list[Path]:
    """Translate image files to the other domain and write them as PNGs to the folder `to`.

    An image in a folder that is named keeps its path within it. If two images would have the same
    PNG, or an input would be overwritten, a number is appended. Other files in `to` are
    overwritten. Images of other than one or three channels become arrays (`.npy`, uint8 (H, W, C)).

    Args:
        paths: image files, and folders whose images at any depth are translated.
        resize: whether images are cropped and resized as in training. Otherwise whole images are
            translated, those that are larger than in training in overlapping tiles.
        contact_sheets: folder of sheets with images and their translations; None writes none.
        on_bad_image: see `read_images`.

    Returns:
        The files, in the order of the inputs.

    Raises:
        DataError: a path does not exist, or an image cannot be used.
        ResultsError: a file cannot be written.
    """
    translator = Translator(export, direction, resize=resize)
    return list(translations(translator, paths, to, contact_sheets, on_bad_image))


def translations(
    translator: Translator,
    paths: Paths,
    to: Path | str,
    contact_sheets: Path | str | None = None,
    on_bad_image: BadImage | None = None,
) -> Iterator[Path]:
    """Yield the files that `translate` writes, each when it is written."""
    files = image_files(paths)
    suffix = ".png" if translator.domain.channels in _CHANNELS_OF_PNG else ARRAY_SUFFIX
    outputs = dict(zip(files, _output_paths(files, Path(to), suffix), strict=True))
    sheets = None if contact_sheets is None else ContactSheets(Path(contact_sheets))
    for file, image in read_images(files, translator.domain, on_bad_image):
        translated = translator(image)
        _write_image(translated, outputs[file])
        if sheets is not None:
            sheets.add(image, translated)
        yield outputs[file]
    if sheets is not None:
        sheets.close()


def _output_paths(files: Sequence[ImageFile], folder: Path, suffix: str) -> list[Path]:
    real_folder = folder.resolve()
    # Some file systems ignore case: there, A.png would overwrite a.png.
    taken = {str(file.path.resolve()).casefold() for file in files}
    last_numbers: dict[str, int] = {}  # by name without suffix
    outputs: list[Path] = []
    for file in files:
        stem = file.name.with_name(file.name.stem)
        key = str(stem).casefold()
        name = file.name.with_name(f"{stem.name}{suffix}")
        number = last_numbers.get(key, 1)
        while (place := str(real_folder / name).casefold()) in taken:
            number += 1
            name = file.name.with_name(f"{stem.name}-{number}{suffix}")
        last_numbers[key] = number
        taken.add(place)
        outputs.append(folder / name)
    return outputs


def _scaled(image: Pixels, domain: DomainSpec) -> Pixels:
    """Return an image, (H, W, C), at the scale that a crop of the domain has in training."""
    if domain.crop is None or domain.crop == domain.size:
        return image
    size = [max(1, round(edge * domain.size / domain.crop)) for edge in image.shape[:2]]
    pixels = to_tensor(image).permute(2, 0, 1)[None].float()
    scaled = F.interpolate(pixels, size=size, mode="bilinear", antialias=True)
    rounded = scaled[0].permute(1, 2, 0).round().clamp(0, np.iinfo(image.dtype).max)
    return rounded.numpy().astype(image.dtype)


def _write_image(pixels: Images, path: Path) -> None:
    """Write an image, uint8 (H, W, C), as a PNG or an array."""
    from PIL import Image

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ARRAY_SUFFIX:
            np.save(path, pixels, allow_pickle=False)
        else:
            grey_or_rgb = pixels[..., 0] if pixels.shape[2] == 1 else pixels
            Image.fromarray(grey_or_rgb).save(path, "PNG")
    except OSError as error:
        raise ResultsError(f"cannot write {path}: {error}") from error
