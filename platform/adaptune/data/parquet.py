"""Images in Parquet: a column `image`, and a column `label` with nulls where the class is not known."""

from __future__ import annotations

from functools import partial
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np

from adaptune.data.domain import UNLABELLED, Images, Labels, RawDomain
from adaptune.data.preprocessing import decode
from adaptune.errors import DataError


def parquet(path: Path) -> RawDomain:
    """The rows of a file, or of all *.parquet files below a folder, in the order of their names.

    `image` holds encoded bytes, a struct with `bytes`, or nested lists (HW or HWC) of 0 to 255. `label`
    holds integers (class names are their digits) or strings; null, -1 or no such column is unlabelled.

    Raises:
        DataError: nothing to read, or columns of other types. An image that cannot be read raises it when
            it is decoded.
    """
    table = _read(path)
    labels, names = _labels(table, path)
    column = table.column("image")
    _check_image_type(column.type, path)
    images = [partial(_image, column, row, f"{path}, row {row}") for row in range(table.num_rows)]
    return RawDomain(images, labels, names)


def _read(path: Path) -> Any:
    import pyarrow as pa
    from pyarrow import parquet as pq

    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise DataError(f"parquet: there is no Parquet file at {path}")
    tables = []
    for file in files:
        try:
            names = pq.read_schema(file).names
            if "image" not in names:
                raise DataError(
                    f"parquet: {file} has no column `image`; it has {', '.join(names) or 'none'}"
                )
            tables.append(
                pq.read_table(file, columns=[name for name in ("image", "label") if name in names])
            )
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"parquet: {file} cannot be read: {error}") from error
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise DataError(
            f"parquet: the files of {path} differ in their columns' types: {error}"
        ) from error
    if not table.num_rows:
        raise DataError(f"parquet: {path} has no rows")
    return table


def _labels(table: Any, path: Path) -> tuple[Labels, tuple[str, ...]]:
    values = (
        table.column("label").to_pylist()
        if "label" in table.column_names
        else [None] * table.num_rows
    )
    # pandas writes integers with gaps as floats, the gaps as NaN.
    missing = [
        value is None or value == -1 or (isinstance(value, float) and isnan(value))
        for value in values
    ]
    given = [value for value, gone in zip(values, missing, strict=True) if not gone]
    texts = all(isinstance(value, str) for value in given)
    if not texts and not all(_is_index(value) for value in given):
        kind = table.schema.field("label").type
        raise DataError(
            f"parquet: labels of {path} must be strings or integers from 0; the column is {kind}"
        )
    order = sorted(set(given))
    index = {value: position for position, value in enumerate(order)}
    labels = np.array(
        [UNLABELLED if gone else index[value] for value, gone in zip(values, missing, strict=True)],
        dtype=np.int64,
    )
    return labels, tuple(value if texts else str(int(value)) for value in order)


def _is_index(value: object) -> bool:
    return isinstance(value, int | float) and float(value).is_integer() and value >= 0


def _check_image_type(kind: Any, path: Path) -> None:
    from pyarrow import types

    if types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    nested = _is_list(kind)
    while _is_list(kind):
        kind = kind.value_type
    fits = (
        types.is_integer(kind) if nested else types.is_binary(kind) or types.is_large_binary(kind)
    )
    if not fits:
        raise DataError(
            f"parquet: column `image` of {path} must hold bytes, a struct with `bytes`, or lists of 0 to 255"
        )


def _is_list(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _image(column: Any, row: int, name: str) -> Images:
    value = column[row].as_py()
    if isinstance(value, dict):
        value = value["bytes"]
    if value is None:
        raise DataError(f"{name} has no image")
    if isinstance(value, bytes):
        return decode(value, name)
    try:
        return np.array(value, dtype=np.uint8)
    except (ValueError, OverflowError, TypeError) as error:
        raise DataError(f"{name} is not an image of 0 to 255, HW or HWC: {error}") from error
