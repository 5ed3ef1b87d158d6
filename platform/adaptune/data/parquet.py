"""Loader of images in Parquet: a column of images and an optional column of labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from adaptune.data.array_types import Indices
from adaptune.data.domain import Decoding, LoadRequest, RawDomain, StoredImage
from adaptune.data.headers import ImageHeader, read_header
from adaptune.data.memory import require_memory
from adaptune.data.parquet_images import (
    check_image_type,
    encoded_image,
    is_struct_of_images,
    stored_image,
)
from adaptune.data.parquet_labels import (
    FileLabels,
    join_labels,
    label_column,
    parse_labels,
    unlabelled,
)
from adaptune.data.parquet_rows import (
    batch_rows,
    column_bytes,
    explain_failure,
    open_rows,
    read_column,
    stamp,
)
from adaptune.errors import DataError
from adaptune.spec.data import ColumnsSpec

if TYPE_CHECKING:
    from pyarrow import Scalar, Schema
    from pyarrow.parquet import FileMetaData


def parquet(request: LoadRequest) -> RawDomain:
    """Load the rows of a Parquet file, or of all *.parquet files below a folder, sorted by name.

    Images are encoded bytes, a struct with `bytes` or `path` (relative to the file), or nested
    lists (H, W) or (H, W, C) of 0 to 255, or of uint16. Labels are integers from 0, whose names are
    those of Hugging Face's ClassLabel or their decimal digits, or strings. A row is unlabelled if
    its label is null or -1, or if there is no such column.

    Only the labels are read: images are read when they are decoded.

    Raises:
        DataError: there is nothing to read, or a column has another type. An unreadable image
            raises it when it is decoded.
    """
    path = request.path
    assert path is not None  # the registry entry requires a path
    files = []
    labels = []
    for file in _parquet_files(path):
        file_images, file_labels = _read_file(file, request.columns)
        files.append(file_images)
        labels.append(file_labels)
    images = _all_rows(files, request)
    if not len(images):
        raise DataError(f"parquet: {path} has no rows")
    return RawDomain(images, *join_labels(labels, str(path)))


@dataclass(frozen=True)
class ParquetFile:
    """A file and its rows.

    Attributes:
        path: the file.
        group_ends: the number of rows up to the end of each row group.
        has_paths: True if images may be in files of their own, which rows name.
    """

    path: Path
    group_ends: tuple[int, ...]
    has_paths: bool

    @property
    def row_count(self) -> int:
        """The number of rows."""
        return self.group_ends[-1] if self.group_ends else 0


@dataclass(frozen=True)
class ParquetImages:
    """An `ImageSource` of the rows of a column.

    Attributes:
        files: the files.
        column: the name of the column.
        decoding: options of the decoder.
        numbers: the number of the file of each of N rows, int64 (N,).
        rows: the number of the row in its file, int64 (N,).
    """

    files: tuple[ParquetFile, ...]
    column: str
    decoding: Decoding
    numbers: Indices
    rows: Indices

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def name(self, index: int) -> str:
        """Return the path of the file and the number of a row."""
        return f"{self._file(index).path}, row {self.rows[index]}"

    def subset(self, indices: Indices) -> ParquetImages:
        """Return the rows at `indices`."""
        return replace(self, numbers=self.numbers[indices], rows=self.rows[indices])

    def stamps(self, indices: Indices) -> list[str]:
        """Return a text per row: its number, and path, size and time of change of its file.

        The same of an image in a file of its own is added.

        Raises:
            DataError: a file cannot be read.
        """
        stamps = []
        stamp_of = {number: self._stamp(number) for number in np.unique(self.numbers[indices])}
        image_paths = {number: self._image_paths(number) for number in stamp_of}
        for index in indices:
            number = self.numbers[index]
            row = int(self.rows[index])
            text = f"{stamp_of[number]} {self.column} {row}"
            if row in image_paths[number]:
                text += f" {_stamp_if_present(image_paths[number][row])}"
            stamps.append(text)
        return stamps

    def header(self, index: int) -> ImageHeader:
        """Return the header of the image in a row.

        Raises:
            DataError: it cannot be read, or the image is stored as lists of numbers.
        """
        name = self.name(index)
        encoded = encoded_image(self._value(index), name, self._file(index).path.parent)
        if encoded is None:
            raise DataError(f"{name} has no header")
        return read_header(encoded, name)

    def read(self, indices: Indices) -> Iterator[StoredImage | DataError]:
        """Yield the images of the rows, or why one cannot be read."""
        for index in indices:
            try:
                yield self._image(int(index))
            except DataError as error:
                yield error

    def _file(self, index: int) -> ParquetFile:
        return self.files[int(self.numbers[index])]

    def _stamp(self, number: int) -> str:
        return stamp(self.files[number].path)

    def _image_paths(self, number: int) -> dict[int, Path]:
        """Return the files of images that the rows of a file name, by row."""
        file = self.files[number]
        if not file.has_paths:
            return {}
        names = read_column(file.path, f"{self.column}.path").combine_chunks().field("path")
        paths = {}
        for row, name in enumerate(names.to_pylist()):
            if name is not None:
                paths[row] = file.path.parent / name
        return paths

    def _image(self, index: int) -> StoredImage:
        """Read and decode the image of one row."""
        folder = self._file(index).path.parent
        return stored_image(self._value(index), self.name(index), folder, self.decoding)

    def _value(self, index: int) -> Scalar:
        """Return the value of one row."""
        file = self._file(index)
        row = int(self.rows[index])
        group = int(np.searchsorted(file.group_ends, row, side="right"))
        group_start = file.group_ends[group - 1] if group else 0
        return open_rows(file.path, self.column).row(group, row - group_start)


def _all_rows(files: list[ParquetFile], request: LoadRequest) -> ParquetImages:
    counts = [file.row_count for file in files]
    rows = [np.arange(count) for count in counts]
    return ParquetImages(
        files=tuple(files),
        column=request.columns.image,
        decoding=request.decoding,
        numbers=np.repeat(np.arange(len(files)), counts),
        rows=np.concatenate(rows),
    )


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


def _read_file(path: Path, columns: ColumnsSpec) -> tuple[ParquetFile, FileLabels]:
    """Read the labels of a file, and where its rows are."""
    from pyarrow import parquet as pq

    with explain_failure(path):
        metadata = pq.read_metadata(path)
        schema = pq.read_schema(path)
    if columns.image not in schema.names:
        others = ", ".join(schema.names) or "none"
        raise DataError(
            f"parquet: {path} has no column `{columns.image}`; it has {others}: choose one with"
            " columns: {image: NAME, label: NAME} in the section of the domain"
        )
    if metadata.num_rows:  # an empty shard may have columns of no type
        check_image_type(schema.field(columns.image).type, columns.image, path)
    label = label_column(schema, columns, str(path))
    _check_memory(metadata, columns.image, label, path)
    ends = np.cumsum([metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)])
    file = ParquetFile(path, tuple(map(int, ends)), _has_paths(metadata, schema, columns.image))
    if label is None:
        return file, unlabelled(file.row_count)
    with explain_failure(path):
        return file, parse_labels(read_column(path, label), schema, label, str(path))


def _check_memory(metadata: FileMetaData, image: str, label: str | None, path: Path) -> None:
    """Refuse a file whose labels and largest batch of images do not fit in memory."""
    labels_bytes = 0
    batch_bytes = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        rows = max(1, group.num_rows)
        batch = column_bytes(group, image) * batch_rows(group, image) // rows
        batch_bytes = max(batch_bytes, batch)
        if label is not None:
            labels_bytes += column_bytes(group, label)
    require_memory(labels_bytes + batch_bytes, f"the columns of {path}", "store fewer images in it")


def _has_paths(metadata: FileMetaData, schema: Schema, image: str) -> bool:
    """Return True if some rows may have a path in place of bytes."""
    kind = schema.field(image).type
    if not is_struct_of_images(kind) or kind.get_field_index("path") < 0:
        return False
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for index in range(group.num_columns):
            part = group.column(index)
            if part.path_in_schema != f"{image}.bytes":
                continue
            if part.statistics is None or part.statistics.null_count != 0:
                return True
    return False


def _stamp_if_present(file: Path) -> str:
    try:
        return stamp(file)
    except DataError:  # its row may have bytes as well, or the error is reported when it is read
        return f"{file} missing"
