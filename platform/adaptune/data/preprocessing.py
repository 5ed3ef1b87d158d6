"""Conversion of images of any size to the common form, and decoding of image files."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from adaptune.data.domain import Images
from adaptune.errors import DataError

# ITU-R 601, as PIL's convert("L").
LUMA = (0.299, 0.587, 0.114)
BATCH_SIZE = 512
# A file of some kilobytes can name any size. Cameras take up to 61 megapixels, some 100; decoding
# and resizing that many takes 2 GB.
MAX_PIXELS = 100_000_000
MAX_FILE_BYTES = 5 * MAX_PIXELS  # more than an image without compression takes
# Pillow has more, among them some that run other programs or have a history of memory errors. TGA
# has no signature: other files could be taken for it.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "AVIF")
ARRAY_SUFFIX = ".npy"
HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})


@cache
def accepted_suffixes() -> frozenset[str]:
    """Return the suffixes, in lower case, of the files that `decode` reads.

    Those of HEIC are among them even if its extra is not installed: the message about such a file
    names the extra.
    """
    from PIL import Image

    Image.init()
    formats = {*FORMATS, "MPO"}  # Pillow opens MPO as a kind of JPEG
    suffixes = {ARRAY_SUFFIX, *HEIF_SUFFIXES}
    for suffix, kind in Image.registered_extensions().items():
        if kind in formats:
            suffixes.add(suffix)
    return frozenset(suffixes)


def prepare(
    images: Images | Iterable[Images],
    *,
    crop: int | None,
    size: int,
    channels: int,
    count: int | None = None,
) -> Images:
    """Crop images at the centre, convert them to `channels`, and resize them.

    Resizing is bilinear and antialiased.

    Args:
        images: uint8, either one array (N, H, W) or (N, H, W, C), or an iterable of images (H, W)
            or (H, W, C) that may differ in size; C is 1 or 3.
        crop: edge of the centre box in px. None keeps the whole image; an image that is not
            square is then squashed.
        size: edge of the result in px.
        channels: 1 (grey) or 3 (RGB).
        count: N, if it is known: the images are then in memory once, otherwise twice.

    Returns:
        uint8 (N, channels, size, size).

    Raises:
        DataError: an image is smaller than `crop`, or has another shape or type.
    """
    batches = (_prepare_batch(batch, crop, size, channels) for batch in _batches(images))
    if isinstance(images, np.ndarray):
        count = len(images)
    if count is None:
        return np.concatenate(list(batches))
    prepared = np.empty((count, channels, size, size), dtype=np.uint8)
    start = 0
    for batch in batches:
        end = start + len(batch)
        prepared[start:end] = batch
        start = end
    assert start == count
    return prepared


def read_image_file(path: Path, name: str) -> bytes:
    """Return the content of an image file.

    Args:
        name: the name of the image in messages.

    Raises:
        DataError: it cannot be read, or has more than `MAX_FILE_BYTES`.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise DataError(
            f"{name} is too large: image files have at most {MAX_FILE_BYTES / 1e6:g} MB"
        )
    return content


def decode(encoded: bytes | Path, name: str) -> Images:
    """Decode an image file or its bytes, and rotate the image according to its EXIF tag.

    Args:
        encoded: the path of the file, or its content.
        name: the name of the image in messages.

    Returns:
        uint8 (H, W), or (H, W, 3) in RGB.

    Raises:
        DataError: the image cannot be read, has more than `MAX_PIXELS` pixels, or more than 8 bits
            per channel.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    source = encoded if isinstance(encoded, Path) else io.BytesIO(encoded)
    try:
        with Image.open(source, formats=_installed_formats()) as file:
            _check_size(file.width, file.height, name)
            upright = ImageOps.exif_transpose(file)
            upright.load()
    except DataError:
        raise
    except UnidentifiedImageError as error:
        formats = ", ".join(FORMATS)
        raise DataError(f"{name} cannot be read as an image of {formats}") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{name} is too large: {error}") from error
    except Exception as error:  # PIL's errors for broken files have no common base
        raise DataError(f"{name} cannot be read as an image: {error}") from error
    if upright.mode[0] in "IF":
        raise DataError(
            f"{name} has more than 8 bits per channel (mode {upright.mode}); convert it to 8 bits"
        )
    if upright.mode in ("1", "L", "LA"):
        return np.asarray(upright.convert("L"))
    if upright.mode == "P":
        # PIL warns if a palette with transparent colours is converted to RGB directly.
        upright = upright.convert("RGBA")
    return np.asarray(upright.convert("RGB"))


@cache
def _installed_formats() -> tuple[str, ...]:
    """Return the formats that this Pillow can open: AVIF came with 11.3."""
    from PIL import Image

    Image.init()
    return tuple(kind for kind in FORMATS if kind in Image.OPEN)


@contextmanager
def images_of_any_size() -> Iterator[None]:
    """Silence Pillow's warning about large images: `decode` refuses those that are too large.

    It is meant for many images at a time, because other warnings are repeated after it.
    """
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def _check_size(width: int, height: int, name: str) -> None:
    if width * height > MAX_PIXELS:
        raise DataError(
            f"{name} has {width} × {height} px: at most {MAX_PIXELS / 1e6:g} megapixels are"
            " decoded; store a smaller image"
        )


def _batches(images: Images | Iterable[Images]) -> Iterator[Images]:
    """Yield arrays (B, H, W) or (B, H, W, C) of images that have the same size."""
    if isinstance(images, np.ndarray):
        for start in range(0, len(images), BATCH_SIZE):
            yield images[start : start + BATCH_SIZE]
    else:
        for image in images:
            yield image[None]


def _prepare_batch(batch: Images, crop: int | None, size: int, channels: int) -> Images:
    if batch.ndim == 3:
        batch = batch[..., None]
    if batch.dtype != np.uint8 or batch.ndim != 4 or batch.shape[-1] not in (1, 3):
        raise DataError(
            "an image must be uint8, HW or HWC with 1 or 3 channels,"
            f" not {batch.dtype} of {batch.shape[1:]}"
        )
    if 0 in batch.shape[1:3]:
        raise DataError(f"an image of {batch.shape[1]} × {batch.shape[2]} px has no pixel")
    if crop is not None:
        batch = _crop_centre(batch, crop)
    pixels = torch.tensor(batch).permute(0, 3, 1, 2).float()
    if channels == 1 and pixels.shape[1] == 3:
        luma = torch.tensor(LUMA).view(1, 3, 1, 1)
        pixels = (pixels * luma).sum(dim=1, keepdim=True)
    resized = _to_uint8(_resize(pixels, size))
    return resized.expand(-1, channels, -1, -1).numpy()


def _crop_centre(batch: Images, crop: int) -> Images:
    height, width = batch.shape[1:3]
    if crop > min(height, width):
        raise DataError(f"crop {crop} px does not fit an image of {height} × {width} px")
    top = (height - crop) // 2
    left = (width - crop) // 2
    return batch[:, top : top + crop, left : left + crop]


def _resize(pixels: Tensor, size: int) -> Tensor:
    if pixels.shape[2:] == (size, size):
        return pixels
    return F.interpolate(
        pixels, size=(size, size), mode="bilinear", antialias=True, align_corners=False
    )


def _to_uint8(pixels: Tensor) -> Tensor:
    return pixels.round().clamp(0, 255).to(torch.uint8)
