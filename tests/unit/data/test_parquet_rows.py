from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from adaptune.data.parquet_rows import RowReader, batch_rows, column_bytes, open_rows
from adaptune.errors import DataError

ROWS = 1000
GROUP = 400


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.parquet"
    images = [b"%d" % row * 100 for row in range(ROWS)]
    table = pa.table({"image": images, "label": list(range(ROWS))})
    pq.write_table(table, path, row_group_size=GROUP)
    return path


@pytest.mark.parametrize("order", ["forwards", "backwards", "shuffled"])
def test_rows_are_found_in_any_order(order: str, file: Path) -> None:
    rows = np.arange(0, ROWS, 7)
    if order == "backwards":
        rows = rows[::-1]
    if order == "shuffled":
        rows = np.random.default_rng(0).permutation(rows)
    reader = RowReader(file, "image")
    for row in rows:
        assert reader.row(row // GROUP, row % GROUP).as_py() == b"%d" % row * 100


def test_a_run_of_rows_opens_each_group_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    iter_batches = pq.ParquetFile.iter_batches

    def counted(self: pq.ParquetFile, rows: int, **options: object) -> Iterator[pa.RecordBatch]:
        opened.append(options["row_groups"])
        batches: Iterator[pa.RecordBatch] = iter_batches(self, rows, **options)
        return batches

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted)
    reader = RowReader(file, "image")
    for row in range(ROWS):
        reader.row(row // GROUP, row % GROUP)
    assert opened == [[0], [1], [2]]


def test_a_process_keeps_one_reader_until_the_file_changes(file: Path) -> None:
    reader = open_rows(file, "image")
    assert open_rows(file, "image") is reader
    pq.write_table(pa.table({"image": [b"other"]}), file)
    assert open_rows(file, "image").row(0, 0).as_py() == b"other"


def test_large_images_are_read_in_small_batches(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": [bytes(2**20)] * 50}), tmp_path / "a.parquet")
    group = pq.read_metadata(tmp_path / "a.parquet").row_group(0)
    assert batch_rows(group, "image") <= 50
    pixels = pa.array([[[0] * 3000] * 3000] * 4, pa.list_(pa.list_(pa.uint8())))
    pq.write_table(pa.table({"image": pixels}), tmp_path / "b.parquet")
    group = pq.read_metadata(tmp_path / "b.parquet").row_group(0)
    assert column_bytes(group, "image") >= 4 * 3000 * 3000  # it is compressed a thousandfold
    assert batch_rows(group, "image") == 1


def test_a_file_that_ends_early_is_named(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[200:4000] = bytes(3800)
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"parquet: .*a\.parquet cannot be read"):
        RowReader(file, "image").row(0, 0)
