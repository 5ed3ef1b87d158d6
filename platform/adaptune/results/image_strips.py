"""Images of a data set for pages: small, and in strips."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812  (its usual name)

from adaptune.data.array_types import Images

_LARGEST_PX = 64
_GAP_PX = 2
# Small images are drawings and digits more often, and JPEG blurs their edges.
_LARGEST_PNG_PX = 32
_PNG_MAGIC = b"\x89PNG"


def image_uri(images: Sequence[Images]) -> str:
    """Return the picture of `image_strip` as a data URI."""
    return picture_uri(image_strip(images))


def picture_uri(picture: bytes) -> str:
    """Return a PNG or JPEG as a data URI."""
    form = "png" if picture.startswith(_PNG_MAGIC) else "jpeg"
    return f"data:image/{form};base64,{base64.b64encode(picture).decode()}"


def image_strip(images: Sequence[Images]) -> bytes:
    """Return images side by side as PNG or JPEG, each at most 64 px wide.

    Args:
        images: at least one image, uint8 (C, H, W); of more than 3 channels the first 3 are shown.
    """
    from PIL import Image

    shown = _shrink(np.stack(images))
    count, channels, height, width = shown.shape
    pitch = width + _GAP_PX
    strip = np.full((height, count * pitch - _GAP_PX, channels), 255, dtype=np.uint8)
    for position, image in enumerate(shown):
        left = position * pitch
        strip[:, left : left + width] = image.transpose(1, 2, 0)
    picture = Image.fromarray(strip[..., 0] if channels == 1 else strip)
    file = io.BytesIO()
    form = "png" if width <= _LARGEST_PNG_PX else "jpeg"
    picture.save(file, form, quality=90)
    return file.getvalue()


def _shrink(images: Images) -> Images:
    channels = 3 if images.shape[1] >= 3 else 1
    images = images[:, :channels]
    if images.shape[-1] <= _LARGEST_PX:
        return images
    small = F.adaptive_avg_pool2d(torch.from_numpy(images).float(), _LARGEST_PX)
    shrunk: Images = small.round().to(torch.uint8).numpy()
    return shrunk
