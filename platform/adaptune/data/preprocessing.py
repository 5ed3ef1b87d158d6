"""Brings images of any size to one: crop, grey or RGB, resize. Also decodes image files."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from adaptune.data.domain import Images
from adaptune.errors import DataError

# ITU-R 601, as PIL's convert("L").
LUMA = (0.299, 0.587, 0.114)
CHUNK = 512


def prepare(
    images: Images | Iterable[Images], *, crop: int | None, size: int, channels: int
) -> Images:
    """Centre crop, convert to `channels`, resize (bilinear, antialiased).

    Args:
        images: HW or HWC with 1 or 3 channels, uint8; one array [N, …] if all share a size, else one by one.
        crop: edge of the centre box in px. None keeps the whole image; one that is not square is squashed.
        size: edge of the result in px.
        channels: 1 (grey) or 3 (RGB).

    Returns:
        uint8 [N, channels, size, size].

    Raises:
        DataError: an image is smaller than `crop`, or has another form.
    """
    batches: Iterable[Images]
    if isinstance(images, np.ndarray):
        batches = (images[start : start + CHUNK] for start in range(0, len(images), CHUNK))
    else:
        batches = (image[None] for image in images)
    return np.concatenate([_prepare_batch(batch, crop, size, channels) for batch in batches])


def decode(encoded: bytes | Path, name: str) -> Images:
    """One image file, or its bytes, as HW or HWC (RGB) uint8, turned upright by its EXIF tag.

    Raises:
        DataError: it cannot be read, or has more than 8 bits a channel; the message holds `name`.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(encoded if isinstance(encoded, Path) else io.BytesIO(encoded)) as file:
            upright = ImageOps.exif_transpose(file)
            upright.load()
    except Exception as error:  # PIL has no common base for what broken files raise
        raise DataError(f"{name} cannot be read as an image: {error}") from error
    if upright.mode[0] in "IF":
        raise DataError(
            f"{name} has more than 8 bits a channel (mode {upright.mode}); convert it to 8 bits"
        )
    if upright.mode in ("1", "L", "LA"):
        return np.asarray(upright.convert("L"))
    return np.asarray(
        upright.convert("RGBA").convert("RGB") if upright.mode == "P" else upright.convert("RGB")
    )


def _prepare_batch(batch: Images, crop: int | None, size: int, channels: int) -> Images:
    if batch.ndim == 3:
        batch = batch[..., None]
    if batch.dtype != np.uint8 or batch.ndim != 4 or batch.shape[-1] not in (1, 3):
        raise DataError(
            f"an image must be uint8, HW or HWC with 1 or 3 channels, not {batch.dtype} of {batch.shape[1:]}"
        )
    if crop is not None:
        batch = _centre(batch, crop)
    pixels = torch.tensor(batch).permute(0, 3, 1, 2).float()
    if channels == 1 and pixels.shape[1] == 3:
        pixels = (pixels * torch.tensor(LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    return _to_uint8(_resize(pixels, size)).expand(-1, channels, -1, -1).numpy()


def _centre(batch: Images, crop: int) -> Images:
    height, width = batch.shape[1:3]
    if crop > min(height, width):
        raise DataError(f"crop {crop} px does not fit an image of {height} × {width} px")
    top, left = (height - crop) // 2, (width - crop) // 2
    return batch[:, top : top + crop, left : left + crop]


def _resize(pixels: Tensor, size: int) -> Tensor:
    if pixels.shape[2:] == (size, size):
        return pixels
    return F.interpolate(
        pixels, size=(size, size), mode="bilinear", antialias=True, align_corners=False
    )


def _to_uint8(pixels: Tensor) -> Tensor:
    return pixels.round().clamp(0, 255).to(torch.uint8)
