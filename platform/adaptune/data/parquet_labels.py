"""Labels of Parquet files, with the class names that Hugging Face writes beside them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING

import numpy as np

from adaptune.data.array_types import Indices, Labels
from adaptune.data.domain import UNLABELLED
from adaptune.errors import DataError
from adaptune.spec.data import ColumnsSpec

if TYPE_CHECKING:
    from pyarrow import ChunkedArray, DataType, Schema

_METADATA = b"huggingface"
_Value = str | int | None


@dataclass(frozen=True)
class FileLabels:
    """The labels of a file.

    Attributes:
        values: the distinct labels; None for no label.
        codes: an index into `values` per row, int64 (N,).
        names: all class names that the file declares, in its order; None if it declares none.
    """

    values: tuple[_Value, ...]
    codes: Indices
    names: tuple[str, ...] | None


def label_column(schema: Schema, columns: ColumnsSpec, file: str) -> str | None:
    """Return the name of the column of labels; None if the samples are unlabelled.

    Raises:
        DataError: the column of the spec is not there, or the default is not there but columns of
            another name have classes.
    """
    if columns.label is None or columns.label in schema.names:
        return columns.label
    if columns.label != ColumnsSpec().label:
        raise DataError(
            f"parquet: {file} has no column `{columns.label}` (data: columns: label); it has"
            f" {', '.join(schema.names)}"
        )
    others = [f"`{name}`" for name in schema.names if _declared_names(schema, name) is not None]
    if others:
        raise DataError(
            f"parquet: {file} has no column `{columns.label}`, but classes in {', '.join(others)}:"
            " choose them with columns: {label: NAME}, or none with columns: {label: null}"
        )
    return None


def parse_labels(column: ChunkedArray, schema: Schema, name: str, file: str) -> FileLabels:
    """Return the labels of a column.

    Integers become the names that the file declares for them, if it does.

    Raises:
        DataError: there are labels of another type, or one without a name.
        UnicodeDecodeError: texts are not UTF-8.
    """
    from pyarrow import types

    kind = column.type
    if types.is_null(kind):
        return unlabelled(len(column))
    if types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    if not _is_label_type(column.type):
        raise _other_type(file, kind)
    encoded = column.dictionary_encode().combine_chunks()
    codes = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy(zero_copy_only=False)
    declared = _declared_names(schema, name)
    values: list[_Value] = []
    for value in encoded.dictionary.to_pylist():
        values.append(_checked(value, declared, file, kind))
    return FileLabels((*values, None), codes.astype(np.int64), declared)


def unlabelled(rows: int) -> FileLabels:
    """Return the labels of a file without a column of labels."""
    return FileLabels((None,), np.zeros(rows, dtype=np.int64), None)


def join_labels(files: Sequence[FileLabels], path: str) -> tuple[Labels, tuple[str, ...]]:
    """Return the labels of all files, int64 (N,), and the names of the classes that have samples.

    The classes are in the order in which the files declare them, otherwise sorted.

    Raises:
        DataError: some files have texts and others integers.
    """
    used: set[str | int] = set()
    for file in files:
        for code in np.unique(file.codes):
            value = file.values[code]
            if value is not None:
                used.add(value)
    if len({isinstance(value, str) for value in used}) > 1:
        raise DataError(
            f"parquet: the files of {path} differ in their columns' types: some labels are texts,"
            " others integers without names"
        )
    classes = _in_order(used, files)
    index_of: dict[_Value, int] = {value: index for index, value in enumerate(classes)}
    labels = []
    for file in files:
        indices = [index_of.get(value, UNLABELLED) for value in file.values]
        labels.append(np.array(indices, dtype=np.int64)[file.codes])
    names = [str(value) for value in classes]
    return np.concatenate(labels), tuple(names)


def _in_order(used: set[str | int], files: Sequence[FileLabels]) -> list[str | int]:
    declared = dict.fromkeys(name for file in files for name in file.names or ())
    classes: list[str | int] = [name for name in declared if name in used]
    others = used.difference(classes)
    return classes + sorted(others, key=_sort_key)


def _sort_key(value: str | int) -> tuple[int, str]:
    """Return the order of labels, which are all texts or all integers."""
    return (0, value) if isinstance(value, str) else (value, "")


def _checked(
    value: object, declared: Sequence[str] | None, file: str, kind: DataType
) -> str | int | None:
    """Return a label as a text or an integer from 0, or None for no label."""
    # pandas writes integers with gaps as floats, and the gaps as NaN.
    if value is None or value == -1 or (isinstance(value, float) and isnan(value)):
        return None
    if isinstance(value, str):
        return value
    assert isinstance(value, int | float)
    if value < 0 or not float(value).is_integer():
        raise _other_type(file, kind, f"; one label is {value}")
    if declared is None:
        return int(value)
    if value >= len(declared):
        raise DataError(
            f"parquet: {file} has the label {int(value)}, but names of {len(declared)} classes only"
        )
    return declared[int(value)]


def _other_type(file: str, kind: DataType, detail: str = "") -> DataError:
    return DataError(
        f"parquet: labels of {file} must be strings or integers from 0, or -1 or null for no label;"
        f" the column is {kind}{detail}"
    )


def _is_label_type(kind: DataType) -> bool:
    from pyarrow import types

    return bool(
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_string(kind)
        or types.is_large_string(kind)
    )


def _declared_names(schema: Schema, column: str) -> tuple[str, ...] | None:
    """Return the class names of a column in the metadata of Hugging Face, if there are any."""
    try:
        metadata = json.loads((schema.metadata or {}).get(_METADATA, b"{}"))
        names = metadata["info"]["features"][column]["names"]
    except (ValueError, KeyError, TypeError):
        return None
    if isinstance(names, dict):  # {"0": "cat", "1": "dog"}
        names = [names[key] for key in sorted(names, key=int)]
    if not names:
        return None
    return tuple(map(str, names))
