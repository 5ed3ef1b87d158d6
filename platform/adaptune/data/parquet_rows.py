"""Rows of a column of Parquet files, read when they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from adaptune.errors import DataError

if TYPE_CHECKING:
    from pyarrow import ChunkedArray, RecordBatch, Scalar
    from pyarrow.parquet import RowGroupMetaData

_BATCH_BYTES = 16 * 1024**2
_MAX_BATCH_ROWS = 256
_BUFFER_BYTES = 1024**2


class RowReader:
    """A reader of one column of a file, which holds some megabytes of it.

    Rows are found fastest in increasing order.
    """

    def __init__(self, file: Path, column: str) -> None:
        """Open the file.

        Raises:
            DataError: it cannot be read.
        """
        from pyarrow import parquet as pq

        self._path = file
        self._column = column
        self._lock = Lock()
        with explain_failure(file):
            self._file = pq.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False)
        self._group = -1
        self._start = 0
        self._batch: RecordBatch | None = None
        self._batches: Iterator[RecordBatch] = iter(())

    def row(self, group: int, offset: int) -> Scalar:
        """Return the value of a row of a row group.

        Raises:
            DataError: the file cannot be read.
        """
        with self._lock, explain_failure(self._path):
            if group != self._group or offset < self._start:
                self._open_group(group)
            while self._batch is None or offset >= self._start + len(self._batch):
                if self._batch is not None:
                    self._start += len(self._batch)
                self._batch = next(self._batches)
            return self._batch.column(0)[offset - self._start]

    def _open_group(self, group: int) -> None:
        rows = batch_rows(self._file.metadata.row_group(group), self._column)
        self._group = group
        self._start = 0
        self._batch = None
        self._batches = self._file.iter_batches(
            rows, row_groups=[group], columns=[self._column], use_threads=False
        )


def open_rows(file: Path, column: str) -> RowReader:
    """Return the reader of a column; each process keeps the latest one.

    Raises:
        DataError: the file cannot be read.
    """
    return _open_rows(file, column, stamp(file))


def read_column(file: Path, column: str) -> ChunkedArray:
    """Return all values of a column.

    Raises:
        DataError: the file cannot be read.
    """
    from pyarrow import parquet as pq

    with explain_failure(file):
        return pq.ParquetFile(file).read(columns=[column]).column(0)


def stamp(file: Path) -> str:
    """Return the path, the size in bytes and the time of change in ns of a file.

    Raises:
        DataError: it cannot be read.
    """
    with explain_failure(file):
        status = file.stat()
    return f"{file} {status.st_size} {status.st_mtime_ns}"


def batch_rows(group: RowGroupMetaData, column: str) -> int:
    """Return the number of rows of a group to read at a time."""
    rows = max(1, int(group.num_rows))
    row_bytes = max(1, column_bytes(group, column) // rows)
    return min(rows, _MAX_BATCH_ROWS, max(1, _BATCH_BYTES // row_bytes))


def column_bytes(group: RowGroupMetaData, column: str) -> int:
    """Return the size of a column of a group in memory, at least one byte per value.

    A file may be compressed a thousandfold.
    """
    total = 0
    for index in range(group.num_columns):
        part = group.column(index)
        if part.path_in_schema.partition(".")[0] == column:
            total += max(int(part.total_uncompressed_size), int(part.num_values))
    return total


@contextmanager
def explain_failure(file: Path) -> Iterator[None]:
    """Raise a DataError that names the file if it cannot be read."""
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise DataError(f"parquet: {file} cannot be read: {error}") from error


@lru_cache(maxsize=1)
def _open_rows(file: Path, column: str, _stamp: str) -> RowReader:
    return RowReader(file, column)
