"""Tables of predictions keep names of all kinds, and can be read again."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from adaptune.artifacts.predict import Prediction
from adaptune.artifacts.prediction_table import TableFormat, write_predictions

PREDICTIONS = [
    Prediction(Path('a "quoted", name.png'), "it's; a|cat", 0.25, 0.125, False),
    Prediction(Path("tab\there\nline\r.png"), "犬 κ", 1.0, 0.75, True),
    Prediction(Path("=1+1.png"), "back\\slash", 0.5),
    Prediction(Path(os.fsdecode(b"\xff.png")), "\u202eabc", 0.75),
]


def table(table_format: TableFormat) -> bytes:
    file = io.BytesIO()
    write_predictions(PREDICTIONS, table_format, file)
    return file.getvalue()


def test_csv_has_a_header_and_the_names_as_they_are() -> None:
    text = table("csv").decode(errors="surrogateescape")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["path"] for row in rows] == [str(given.path) for given in PREDICTIONS]
    assert [row["class"] for row in rows] == [given.class_name for given in PREDICTIONS]
    assert [row["probability"] for row in rows] == ["0.2500", "1.0000", "0.5000", "0.7500"]
    assert [row["calibrated_probability"] for row in rows] == ["0.1250", "0.7500", "", ""]
    assert [row["accepted"] for row in rows] == ["no", "yes", "", ""]


def test_json_has_the_names_and_all_digits() -> None:
    rows = json.loads(table("json"))
    assert [row["path"] for row in rows] == [str(given.path) for given in PREDICTIONS]
    assert [row["class"] for row in rows] == [given.class_name for given in PREDICTIONS]
    assert [row["probability"] for row in rows] == [0.25, 1.0, 0.5, 0.75]
    assert [row["calibrated_probability"] for row in rows] == [0.125, 0.75, None, None]
    assert [row["accepted"] for row in rows] == [False, True, None, None]
    assert "犬" in table("json").decode()


def test_parquet_has_the_names_but_bytes_that_are_no_text_as_escapes() -> None:
    rows = pq.read_table(io.BytesIO(table("parquet"))).to_pylist()
    expected = [str(given.path) for given in PREDICTIONS[:3]] + [r"\udcff.png"]
    assert [row["path"] for row in rows] == expected
    assert [row["class"] for row in rows] == [given.class_name for given in PREDICTIONS]
    assert [row["probability"] for row in rows] == [0.25, 1.0, 0.5, 0.75]
    assert [row["calibrated_probability"] for row in rows] == [0.125, 0.75, None, None]
    assert [row["accepted"] for row in rows] == [False, True, None, None]


def test_tsv_has_one_line_per_image_without_control_characters() -> None:
    lines = table("tsv").decode().splitlines()
    assert lines == [
        'a "quoted", name.png\tit\'s; a|cat\t0.2500\t0.1250\tno',
        "tab\\there\\nline\\r.png\t犬 κ\t1.0000\t0.7500\tyes",
        "\\x3d1+1.png\tback\\\\slash\t0.5000\t\t",
        "\\udcff.png\t\\u202eabc\t0.7500\t\t",
    ]


@pytest.mark.parametrize("table_format", ["tsv", "csv", "json"])
def test_a_row_is_written_when_its_image_is_done(table_format: TableFormat) -> None:
    file = io.BytesIO()
    lengths = []

    def predictions() -> Iterator[Prediction]:
        for prediction in PREDICTIONS:
            yield prediction
            lengths.append(len(file.getvalue()))

    write_predictions(predictions(), table_format, file)
    assert lengths == sorted(set(lengths))
    assert lengths[0] > 0


@pytest.mark.parametrize(("table_format", "length"), [("tsv", 0), ("csv", 0), ("json", 3)])
def test_no_image_gives_an_empty_table(table_format: TableFormat, length: int) -> None:
    file = io.BytesIO()
    write_predictions([], table_format, file)
    assert len(file.getvalue()) == length


def test_an_empty_parquet_file_has_its_columns() -> None:
    file = io.BytesIO()
    write_predictions([], "parquet", file)
    assert pq.read_table(file).column_names == [
        "path",
        "class",
        "probability",
        "calibrated_probability",
        "accepted",
    ]
