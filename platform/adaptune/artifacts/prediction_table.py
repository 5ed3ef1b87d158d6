"""Predictions as a table: TSV, CSV, JSON or Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Literal, Protocol

from adaptune.artifacts.image_files import in_batches
from adaptune.artifacts.predict import Prediction
from adaptune.text import tsv_cell

TableFormat = Literal["tsv", "csv", "json", "parquet"]

_ROWS_PER_GROUP = 10_000  # of a Parquet file
Row = dict[str, str | float | bool | None]


class ByteOutput(Protocol):
    """A binary file that can be written to."""

    def write(self, body: bytes, /) -> int:
        """Write bytes; return their number."""
        ...

    def flush(self) -> None:
        """Make what was written visible to readers."""
        ...


def write_predictions(
    predictions: Iterable[Prediction], table_format: TableFormat, file: ByteOutput
) -> None:
    """Write predictions to a file while they come.

    Args:
        table_format: `tsv` has no header, and control characters are escape sequences. `csv` (RFC
            4180), `json` (an array of objects) and `parquet` have the names as they are. Bytes of
            a path that are no UTF-8 are kept in `csv`; in `json` they are lone surrogates, as
            Python has them, and in `parquet` escape sequences.
    """
    rows = map(_row, predictions)
    if table_format == "parquet":
        _write_parquet(rows, file)
        return
    writers = {"tsv": _tsv, "csv": _csv, "json": _json}
    for part in writers[table_format](rows):
        file.write(part)
        file.flush()


def _row(prediction: Prediction) -> Row:
    return {
        "path": str(prediction.path),
        "class": prediction.class_name,
        "probability": prediction.probability,
        "calibrated_probability": prediction.calibrated_probability,
        "accepted": prediction.accepted,
    }


def _tsv(rows: Iterable[Row]) -> Iterator[bytes]:
    for row in rows:
        cells = [tsv_cell(_text(value)) for value in row.values()]
        yield ("\t".join(cells) + "\n").encode()


def _csv(rows: Iterable[Row]) -> Iterator[bytes]:
    for number, row in enumerate(rows):
        line = io.StringIO()
        writer = csv.writer(line)
        if not number:
            writer.writerow(row)
        writer.writerow(map(_text, row.values()))
        yield line.getvalue().encode(errors="surrogateescape")


def _json(rows: Iterable[Row]) -> Iterator[bytes]:
    separator = "[\n"
    for row in rows:
        text = json.dumps(row, ensure_ascii=False)
        try:
            line = text.encode()
        except UnicodeEncodeError:  # a lone surrogate has to be an escape sequence
            line = json.dumps(row).encode()
        yield separator.encode() + line
        separator = ",\n"
    yield b"\n]\n" if separator == ",\n" else b"[]\n"


def _write_parquet(rows: Iterable[Row], file: ByteOutput) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            ("path", pa.string()),
            ("class", pa.string()),
            ("probability", pa.float64()),
            ("calibrated_probability", pa.float64()),
            ("accepted", pa.bool_()),
        ]
    )
    with pq.ParquetWriter(file, schema) as writer:
        for batch in in_batches(rows, _ROWS_PER_GROUP):
            for row in batch:
                row["path"] = str(row["path"]).encode(errors="backslashreplace").decode()
            writer.write_table(pa.Table.from_pylist(batch, schema))


def _text(value: object) -> str:
    """Return a value as text; the text of None is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
