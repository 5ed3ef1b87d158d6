"""Images in the forms that Parquet files have them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from adaptune.data.array_types import Pixels
from adaptune.data.domain import Decoding, StoredImage
from adaptune.data.identity import array_digests, image_digest
from adaptune.data.preprocessing import decode, read_image_file
from adaptune.errors import DataError

if TYPE_CHECKING:
    from pyarrow import DataType, Scalar


def check_image_type(kind: DataType, column: str, path: Path) -> None:
    """Check that a column can hold images.

    Raises:
        DataError: it has another type.
    """
    from pyarrow import types

    if is_struct_of_images(kind):
        kind = kind.field("bytes").type
    if _is_list(kind):
        while _is_list(kind):
            kind = kind.value_type
        is_supported = types.is_integer(kind)
    else:
        is_supported = types.is_binary(kind) or types.is_large_binary(kind)
    if not is_supported:
        raise DataError(
            f"parquet: column `{column}` of {path} must hold bytes, a struct with `bytes`,"
            " or lists of 0 to 255 or of uint16"
        )


def is_struct_of_images(kind: DataType) -> bool:
    """Return True for the struct of Hugging Face: the content of a file, or its path."""
    from pyarrow import types

    return bool(types.is_struct(kind)) and kind.get_field_index("bytes") >= 0


def stored_image(value: Scalar, name: str, folder: Path, decoding: Decoding) -> StoredImage:
    """Decode the image of a row.

    Args:
        value: the row.
        name: the name of the image in messages.
        folder: the folder that paths are relative to.
        decoding: options of the decoder.

    Raises:
        DataError: there is no image, or it cannot be read.
    """
    encoded = encoded_image(value, name, folder)
    if encoded is not None:
        return StoredImage(decode(encoded, name, decoding), image_digest(encoded))
    numbers = value["bytes"] if is_struct_of_images(value.type) else value
    try:
        pixels = _pixels(numbers)
    except (ValueError, TypeError) as error:
        raise DataError(f"{name} is not an image of 0 to 255, HW or HWC: {error}") from error
    [digest] = array_digests(pixels[None])
    return StoredImage(pixels, digest)


def encoded_image(value: Scalar, name: str, folder: Path) -> bytes | None:
    """Return the content of the image file of a row, or None for lists of numbers.

    Args:
        value: the row.
        name: the name of the image in messages.
        folder: the folder that paths are relative to.

    Raises:
        DataError: there is no image, or it cannot be read.
    """
    if is_struct_of_images(value.type) and value.is_valid:
        path = value["path"].as_py() if value.type.get_field_index("path") >= 0 else None
        value = value["bytes"]
        if not value.is_valid and path is not None:
            return _read_named(path, name, folder)
    if not value.is_valid:
        raise DataError(f"{name} has no image")
    if _is_list(value.type):
        return None
    encoded: bytes = value.as_py()
    return encoded


def _read_named(path: str, name: str, folder: Path) -> bytes:
    """Return the content of the file that a row names.

    Raises:
        DataError: it cannot be read, or is named by a URL or an absolute path.
    """
    if "://" in path or Path(path).is_absolute():
        raise DataError(
            f"{name} has no bytes, and its path {path!r} is not relative to the Parquet file:"
            " store the bytes of the images"
        )
    return read_image_file(folder / path, f"{name} ({folder / path})")


def _pixels(value: Scalar) -> Pixels:
    """Convert nested lists of integers to uint16 if they are stored so, otherwise to uint8.

    Raises:
        ValueError: they form no array, or a number is out of range.
    """
    import pyarrow as pa
    from pyarrow import compute

    numbers = value.values
    shape = [len(numbers)]
    while _is_list(numbers.type):
        lengths = compute.unique(compute.list_value_length(numbers)).to_pylist()
        if len(lengths) != 1 or lengths[0] is None:
            raise ValueError("its rows differ in length, or it has none")
        shape.append(lengths[0])
        numbers = numbers.flatten()
    if numbers.null_count:
        raise ValueError("a number is missing")
    array: Pixels = numbers.to_numpy(zero_copy_only=False).reshape(shape)
    if numbers.type == pa.uint16():
        return array
    if array.size and (array.min() < 0 or array.max() > 255):
        raise ValueError(f"the numbers are from {array.min()} to {array.max()}")
    eight_bits: Pixels = array.astype(np.uint8)
    return eight_bits


def _is_list(kind: DataType) -> bool:
    from pyarrow import types

    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))
