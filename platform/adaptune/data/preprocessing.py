"""Conversion of images of any size to the common form, and decoding of image files."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from adaptune.data.array_types import Images, Pixels
from adaptune.data.arrays import array_shape, is_array, read_array
from adaptune.data.deep_png import is_deep_png, read_deep_png
from adaptune.data.domain import DEFAULT_DECODING, Decoding
from adaptune.data.formats import format_names, open_image
from adaptune.data.pillow_pixels import orientation_of, pixels_of, upright
from adaptune.data.tiff import read_tiff
from adaptune.data.tiff_page import is_tiff
from adaptune.data.value_range import scale
from adaptune.errors import DataError
from adaptune.spec.data import DomainSpec, Interval

# ITU-R 601, as PIL's convert("L").
LUMA = (0.299, 0.587, 0.114)
BATCH_SIZE = 512
# A file of some kilobytes can name any size. Cameras take up to 61 megapixels, some 100; decoding
# and resizing that many takes 2 GB.
MAX_PIXELS = 100_000_000
MAX_VALUES = 4 * MAX_PIXELS
MAX_FILE_BYTES = 5 * MAX_PIXELS  # more than an image without compression takes


# Channels apart are resized up to three times as fast, but take time to bring apart: it pays if the
# image has fewer times the pixels of the result.
_PLANAR_BELOW = 8


def prepare(
    images: Pixels | Iterable[Pixels],
    *,
    crop: int | None,
    size: int,
    channels: int,
    value_range: Sequence[Interval] | None = None,
    count: int | None = None,
) -> Images:
    """Crop images at the centre, convert them to `channels` of 8 bits, and resize them.

    Resizing is bilinear and antialiased.

    Args:
        images: uint8 or uint16, either one array (N, H, W) or (N, H, W, C), or an iterable of
            images (H, W) or (H, W, C) that may differ in size.
        crop: edge of the centre box in px. None keeps the whole image; an image that is not
            square is then squashed.
        size: edge of the result in px.
        channels: 1 (grey) or 3 (RGB), to which images of 3 or 1 are converted; otherwise C.
        value_range: stored values that become 0 and 255, for all channels or for each of
            `channels`; None for the full range of 8 or 16 bits.
        count: N, if it is known: the images are then in memory once, otherwise twice.

    Returns:
        uint8 (N, channels, size, size).

    Raises:
        DataError: an image is smaller than `crop`, or has another shape or type.
    """
    form = _Form(crop, size, channels, value_range)
    batches = (_prepare_batch(batch, form) for batch in same_size_batches(images))
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


def prepare_as(form: DomainSpec, images: Pixels | Iterable[Pixels]) -> Images:
    """Return `prepare` of images with the settings of a domain.

    Raises:
        DataError: an image does not have the form that these settings require.
    """
    return prepare(
        images,
        crop=form.crop,
        size=form.size,
        channels=form.channels,
        value_range=form.intervals,
    )


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


def decode(encoded: bytes | Path, name: str, decoding: Decoding = DEFAULT_DECODING) -> Pixels:
    """Decode an image file or its bytes, and rotate the image according to its EXIF tag.

    Transparent pixels show the background. Of several frames, the first is decoded. Colour
    profiles are ignored.

    Args:
        encoded: the path of the file, or its content.
        name: the name of the image in messages.
        decoding: the background, and the number of channels of the domain.

    Returns:
        uint8 or uint16: (H, W), (H, W, 3) in RGB, or (H, W, C) for other numbers of channels.

    Raises:
        DataError: the image cannot be read with all its bits, or has more than `MAX_PIXELS`
            pixels.
    """
    from PIL import Image, UnidentifiedImageError

    content = read_image_file(encoded, name) if isinstance(encoded, Path) else encoded
    try:
        return _decode(content, name, decoding)
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"{name} cannot be read as an image of {format_names()}") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{name} is too large: {error}") from error
    except Exception as error:  # PIL's errors for broken files have no common base
        raise DataError(f"{name} cannot be read as an image: {error}") from error


def _decode(content: bytes, name: str, decoding: Decoding) -> Pixels:
    """Return the pixels of an image file, upright.

    Raises:
        DataError: the image is too large.
        Exception: it cannot be read.
    """
    check_size = partial(_check_size, name=name)
    if is_array(content):
        height, width, *channels = array_shape(content)
        check_size(width, height, prod(channels))
        return read_array(content)
    if is_tiff(content):
        pixels = read_tiff(content, decoding, check_size)
        if pixels is not None:
            return pixels
    with open_image(content) as file:
        check_size(file.width, file.height)
        if is_deep_png(content):
            with open_image(content) as second:
                pixels = read_deep_png(content, file, second, decoding)
        else:
            pixels = pixels_of(file, decoding)
        orientation = orientation_of(file)
    return pixels if orientation == 1 else upright(pixels, orientation)


@contextmanager
def images_of_any_size() -> Iterator[None]:
    """Silence Pillow's warning about large images: `decode` refuses those that are too large.

    It is meant for many images at a time, because other warnings are repeated after it.
    """
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def _check_size(width: int, height: int, channels: int = 1, *, name: str) -> None:
    if width * height > MAX_PIXELS:
        raise DataError(
            f"{name} has {width} × {height} px: at most {MAX_PIXELS / 1e6:g} megapixels are"
            " decoded; store a smaller image"
        )
    if width * height * channels > MAX_VALUES:
        raise DataError(
            f"{name} has {width} × {height} px with {channels} channels: at most"
            f" {MAX_VALUES / 1e6:g} million values are decoded; store a smaller image"
        )


@dataclass(frozen=True)
class _Form:
    """The arguments of `prepare` beside the images."""

    crop: int | None
    size: int
    channels: int
    value_range: Sequence[Interval] | None


def same_size_batches(images: Pixels | Iterable[Pixels]) -> Iterator[Pixels]:
    """Yield arrays (B, H, W) or (B, H, W, C) of images that have the same size."""
    if isinstance(images, np.ndarray):
        for start in range(0, len(images), BATCH_SIZE):
            yield images[start : start + BATCH_SIZE]
    else:
        for image in images:
            yield image[None]


def _prepare_batch(batch: Pixels, form: _Form) -> Images:
    if batch.ndim == 3:
        batch = batch[..., None]
    check_form(batch, form.channels, form.crop)
    if form.crop is not None:
        batch = _crop_centre(batch, form.crop)
    pixels = _to_channels(_to_tensor(batch), form)
    resized = _to_uint8(_resize(scale(pixels, batch.dtype, form.value_range), form.size))
    return resized.expand(-1, form.channels, -1, -1).numpy()


def _to_tensor(batch: Pixels) -> Tensor:
    """Return images (B, H, W, C) as float32 (B, C, H, W)."""
    # torch has few operations on uint16. A copy by torch keeps the layout that is resized fastest.
    stored = batch if batch.dtype == np.uint8 else batch.astype(np.int32)
    return torch.tensor(stored).permute(0, 3, 1, 2).float()


def check_form(batch: Pixels, channels: int, crop: int | None) -> None:
    """Raise a DataError if images (B, H, W, C) cannot be cropped or converted to `channels`."""
    if batch.dtype not in (np.uint8, np.uint16) or batch.ndim != 4:
        raise DataError(
            f"an image must be uint8 or uint16, HW or HWC, not {batch.dtype} of {batch.shape[1:]}"
        )
    if 0 in batch.shape[1:3]:
        raise DataError(f"an image of {batch.shape[1]} × {batch.shape[2]} px has no pixel")
    if crop is not None and crop > min(batch.shape[1:3]):
        height, width = batch.shape[1:3]
        raise DataError(f"crop {crop} px does not fit an image of {height} × {width} px")
    stored_channels = batch.shape[-1]
    if stored_channels == channels or {stored_channels, channels} == {1, 3}:
        return
    raise DataError(
        f"an image has {stored_channels} channels, but `channels` is {channels}: only grey and RGB"
        f" are converted to each other; set `channels: {stored_channels}` if all images have them"
    )


def _to_channels(pixels: Tensor, form: _Form) -> Tensor:
    """Convert RGB to grey, and grey to RGB if the ranges of its channels differ."""
    if form.channels == 1 and pixels.shape[1] == 3:
        luma = torch.tensor(LUMA).view(1, 3, 1, 1)
        return (pixels * luma).sum(dim=1, keepdim=True)
    if form.value_range is not None and len(form.value_range) > 1:
        return pixels.expand(-1, form.channels, -1, -1)
    return pixels


def _crop_centre(batch: Pixels, crop: int) -> Pixels:
    top, left = ((edge - crop) // 2 for edge in batch.shape[1:3])
    return batch[:, top : top + crop, left : left + crop]


def _resize(pixels: Tensor, size: int) -> Tensor:
    if pixels.shape[2:] == (size, size):
        return pixels
    return F.interpolate(
        pixels, size=(size, size), mode="bilinear", antialias=True, align_corners=False
    )


def _to_uint8(pixels: Tensor) -> Tensor:
    return pixels.round().clamp(0, 255).to(torch.uint8)
