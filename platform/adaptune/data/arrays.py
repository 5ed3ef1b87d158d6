"""Images as NumPy arrays in files (`.npy`)."""

from __future__ import annotations

import io

import numpy as np

from adaptune.data.array_types import Pixels
from adaptune.spec.data import MAX_CHANNELS

ARRAY_SUFFIX = ".npy"
_SIGNATURE = b"\x93NUMPY"


def is_array(content: bytes) -> bool:
    """Return True if the content of a file begins as an array does."""
    return content.startswith(_SIGNATURE)


def array_shape(content: bytes) -> tuple[int, ...]:
    """Return the shape of an array from the header of its file; see `array_form`."""
    shape, _ = array_form(content)
    return shape


def array_form(content: bytes) -> tuple[tuple[int, ...], int]:
    """Return the shape and the bits of an array from the header of its file.

    Raises:
        ValueError: the header is damaged, or the array is no image of 8 or 16 bits.
    """
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, kind = np.lib.format.read_array_header_1_0(file)
    else:
        shape, _, kind = np.lib.format.read_array_header_2_0(file)
    if kind.newbyteorder("=") not in (np.dtype(np.uint8), np.dtype(np.uint16)):
        raise ValueError(f"an array must be uint8 or uint16, not {kind}")
    if len(shape) not in (2, 3):
        raise ValueError(f"an array must be (H, W) or (H, W, C), not {shape}")
    if len(shape) == 3 and shape[2] > MAX_CHANNELS >= shape[0]:
        raise ValueError(
            f"an array must be (H, W, C), but {shape} seems to be (C, H, W): move the first axis"
            " to the end"
        )
    return tuple(shape), 8 * kind.itemsize


def read_array(content: bytes) -> Pixels:
    """Return the image of an array file whose shape is known to be an image's.

    Returns:
        uint8 or uint16, (H, W) or (H, W, C).

    Raises:
        ValueError: the file is damaged.
    """
    array = np.load(io.BytesIO(content), allow_pickle=False)
    native: Pixels = array.astype(array.dtype.newbyteorder("="), order="C", copy=False)
    return native
