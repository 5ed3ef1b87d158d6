"""Loader of images in Parquet: a column `image` and an optional column `label`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from adaptune.data.domain import (
    UNLABELLED,
    Images,
    Indices,
    Labels,
    LoadRequest,
    RawDomain,
    StoredImage,
)
from adaptune.data.headers import ImageHeader, read_header
from adaptune.data.identity import array_digests, image_digest
from adaptune.data.memory import require_memory
from adaptune.data.preprocessing import decode
from adaptune.errors import DataError

if TYPE_CHECKING:
    from pyarrow import ChunkedArray, DataType, Table

_COLUMNS = ("image", "label")


def parquet(request: LoadRequest) -> RawDomain:
    """Load the rows of a Parquet file, or of all *.parquet files below a folder, sorted by name.

    `image` has encoded bytes, a struct with `bytes`, or nested lists (H, W) or (H, W, C) of 0 to
    255. `label` has integers from 0, whose decimal digits become the class names, or strings. A
    row is unlabelled if its label is null or -1, or if there is no such column.

    Raises:
        DataError: there is nothing to read, or a column has another type. An unreadable image
            raises it when it is decoded.
    """
    path = request.path
    assert path is not None  # the registry entry requires a path
    table = _read(path)
    labels, class_names = _labels(table, path)
    column = table.column("image")
    _check_image_type(column.type, path)
    return RawDomain(ParquetImages(column, path), labels, class_names)


@dataclass(frozen=True)
class ParquetImages:
    """An `ImageSource` of the rows of a column.

    Attributes:
        column: the images.
        path: file or folder that they are from.
    """

    column: ChunkedArray
    path: Path

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.column)

    def stamps(self, indices: Indices) -> list[str]:
        """Return the path, the sizes in bytes and the times of change in ns of the files."""
        files = []
        for file in _parquet_files(self.path):
            status = file.stat()
            files.append(f"{file} {status.st_size} {status.st_mtime_ns}")
        return [f"{files} {index}" for index in indices]

    def name(self, index: int) -> str:
        """Return the path and the row of an image."""
        return f"{self.path}, row {index}"

    def header(self, index: int) -> ImageHeader:
        """Return the header of the image in a row.

        Raises:
            DataError: it cannot be read, or is stored as lists of numbers.
        """
        value = self.column[index].as_py()
        if isinstance(value, dict):
            value = value["bytes"]
        if not isinstance(value, bytes):
            raise DataError(f"{self.name(index)} has no header")
        return read_header(value, self.name(index))

    def read(self, indices: Indices) -> Iterator[StoredImage | DataError]:
        """Yield the images of the rows, or why one cannot be read."""
        for row in indices:
            try:
                yield _image(self.column, int(row), f"{self.path}, row {row}")
            except DataError as error:
                yield error


def _read(path: Path) -> Table:
    import pyarrow as pa

    files = _parquet_files(path)
    _check_memory(files, path)
    tables = [_read_file(file) for file in files]
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise DataError(
            f"parquet: the files of {path} differ in their columns' types: {error}"
        ) from error
    if not table.num_rows:
        raise DataError(f"parquet: {path} has no rows")
    return table


def _parquet_files(path: Path) -> list[Path]:
    """Return the files at a path; pipes, folders and broken links of such a name are none."""
    try:
        names = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
        files = [name for name in names if name.is_file()]
    except OSError as error:
        raise DataError(f"parquet: {path} cannot be read: {error.strerror}") from error
    if not files:
        raise DataError(f"parquet: there is no Parquet file at {path}")
    return files


def _check_memory(files: list[Path], path: Path) -> None:
    """Refuse files whose columns do not fit in memory: they may be compressed a thousandfold."""
    needed_bytes = sum(_uncompressed_bytes(file) for file in files)
    require_memory(needed_bytes, f"the columns of {path}", "store fewer images in it")


def _uncompressed_bytes(file: Path) -> int:
    """Return the size of the columns that are read, at least one byte per value."""
    from pyarrow import parquet as pq

    total = 0
    with _explain_failure(file):
        metadata = pq.read_metadata(file)
    for group in range(metadata.num_row_groups):
        for index in range(metadata.num_columns):
            column = metadata.row_group(group).column(index)
            if column.path_in_schema.partition(".")[0] in _COLUMNS:
                total += max(column.total_uncompressed_size, column.num_values)
    return total


def _read_file(file: Path) -> Table:
    from pyarrow import parquet as pq

    with _explain_failure(file):
        names = pq.read_schema(file).names
        if "image" not in names:
            others = ", ".join(names) or "none"
            raise DataError(f"parquet: {file} has no column `image`; it has {others}")
        columns = [name for name in _COLUMNS if name in names]
        return pq.read_table(file, columns=columns)


@contextmanager
def _explain_failure(file: Path) -> Iterator[None]:
    """Raise a DataError that names the file if it cannot be read."""
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise DataError(f"parquet: {file} cannot be read: {error}") from error


def _labels(table: Table, path: Path) -> tuple[Labels, tuple[str, ...]]:
    """Return the labels, int64 (N,), and the sorted class names."""
    if "label" not in table.column_names:
        return np.full(table.num_rows, UNLABELLED, dtype=np.int64), ()
    with _explain_failure(path):
        values = table.column("label").to_pylist()
    classes = [value for value in values if not _is_missing(value)]
    are_texts = all(isinstance(value, str) for value in classes)
    if not are_texts and not all(_is_index(value) for value in classes):
        kind = table.schema.field("label").type
        raise DataError(
            f"parquet: labels of {path} must be strings or integers from 0; the column is {kind}"
        )
    classes = sorted(set(classes))
    index_of = {value: index for index, value in enumerate(classes)}
    labels = np.full(len(values), UNLABELLED, dtype=np.int64)
    for row, value in enumerate(values):
        if not _is_missing(value):
            labels[row] = index_of[value]
    if not are_texts:
        classes = [str(int(value)) for value in classes]
    return labels, tuple(classes)


def _is_missing(value: object) -> bool:
    # pandas writes integers with gaps as floats, and the gaps as NaN.
    return value is None or value == -1 or (isinstance(value, float) and isnan(value))


def _is_index(value: object) -> bool:
    return isinstance(value, int | float) and float(value).is_integer() and value >= 0


def _check_image_type(kind: DataType, path: Path) -> None:
    from pyarrow import types

    if types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    if _is_list(kind):
        while _is_list(kind):
            kind = kind.value_type
        is_supported = types.is_integer(kind)
    else:
        is_supported = types.is_binary(kind) or types.is_large_binary(kind)
    if not is_supported:
        raise DataError(
            f"parquet: column `image` of {path} must hold bytes, a struct with `bytes`,"
            " or lists of 0 to 255"
        )


def _is_list(kind: DataType) -> bool:
    from pyarrow import types

    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _image(column: ChunkedArray, row: int, name: str) -> StoredImage:
    """Read and decode the image of one row: uint8 (H, W) or (H, W, C)."""
    value = column[row].as_py()
    if isinstance(value, dict):
        value = value["bytes"]
    if value is None:
        raise DataError(f"{name} has no image")
    if isinstance(value, bytes):
        return StoredImage(decode(value, name), image_digest(value))
    try:
        pixels = _pixels(value)
    except (ValueError, OverflowError, TypeError) as error:
        raise DataError(f"{name} is not an image of 0 to 255, HW or HWC: {error}") from error
    [digest] = array_digests(pixels[None])
    return StoredImage(pixels, digest)


def _pixels(value: object) -> Images:
    """Convert nested lists of integers to uint8.

    Raises:
        ValueError: a number is out of range. NumPy itself refuses it from version 2 on only.
    """
    numbers = np.array(value, dtype=np.int64)
    if numbers.size and (numbers.min() < 0 or numbers.max() > 255):
        raise ValueError(f"the numbers are from {numbers.min()} to {numbers.max()}")
    return numbers.astype(np.uint8)
