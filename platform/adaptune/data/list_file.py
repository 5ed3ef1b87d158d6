"""Text and CSV files that list images and their labels."""

from __future__ import annotations

import codecs
import csv
from dataclasses import dataclass
from pathlib import Path

from adaptune.data.preprocessing import accepted_suffixes
from adaptune.errors import DataError

PATH_COLUMNS = ("path", "image", "file", "filename", "image_path", "file_name", "filepath")
LABEL_COLUMNS = ("label", "class", "target", "class_name", "category")
_DELIMITERS = ",;\t"
_MISSING = {"", "-1", "-1.0"}


@dataclass(frozen=True, slots=True)
class ListedImage:
    """A line of a list.

    Attributes:
        line: number of the line, from 1.
        path: path of the image, as it is written.
        label: the label, or None if there is none.
    """

    line: int
    path: str
    label: str | None


def read_list(file: Path) -> list[ListedImage]:
    """Return the images that a file lists.

    A file whose first line names a column for paths (`PATH_COLUMNS`) is CSV, with commas,
    semicolons or tabs. In other files, a line is a path, which may contain spaces, and a label,
    after the last space or tab. A line that ends like an image file has no label. Empty lines and
    lines that begin with `#` are skipped.

    Raises:
        DataError: the file cannot be read, is not UTF-8 or UTF-16, or lists no image, or a line of
            CSV has no path.
    """
    lines = _read_lines(file)
    first = next((line for line in lines if not _is_skipped(line)), None)
    if first is None:
        raise DataError(f"imagelist: {file} lists no image")
    delimiter = _delimiter(first)
    if delimiter is not None:
        return _read_csv(file, lines, delimiter)
    if file.suffix.lower() in (".csv", ".tsv"):
        raise DataError(
            f"imagelist: the first line of {file} is {first.strip()!r}; it must name a column"
            f" {'|'.join(PATH_COLUMNS)} and, if there are labels, {'|'.join(LABEL_COLUMNS)}"
        )
    suffixes = tuple(accepted_suffixes())
    images = []
    for number, line in enumerate(lines, start=1):
        if not _is_skipped(line):
            images.append(_parse_line(number, line.strip(), suffixes))
    return images


def _read_lines(file: Path) -> list[str]:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"imagelist: {file} cannot be read: {error.strerror}") from error
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(
            f"imagelist: line {line} of {file} is not UTF-8: store the file as UTF-8"
        ) from error
    # Not str.splitlines, which also splits at characters that paths may contain.
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _is_skipped(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _delimiter(header: str) -> str | None:
    """Return the delimiter of a header of CSV, or None if the line is no such header."""
    for delimiter in _DELIMITERS:
        if _column(_cells(header, delimiter), PATH_COLUMNS) is not None:
            return delimiter
    return None


def _cells(line: str, delimiter: str) -> list[str]:
    [cells] = csv.reader([line], delimiter=delimiter)
    return [cell.strip() for cell in cells]


def _column(header: list[str], names: tuple[str, ...]) -> int | None:
    """Return the index of the first column that has one of the names."""
    lowered = [cell.lower() for cell in header]
    for name in names:
        if name in lowered:
            return lowered.index(name)
    return None


def _read_csv(file: Path, lines: list[str], delimiter: str) -> list[ListedImage]:
    rows = []
    for number, line in enumerate(lines, start=1):
        if not _is_skipped(line):
            rows.append((number, _cells(line, delimiter)))
    (_, header), *rows = rows
    path_column = _column(header, PATH_COLUMNS)
    label_column = _column(header, LABEL_COLUMNS)
    assert path_column is not None
    if label_column is None and len(header) > 1:
        raise DataError(
            f"imagelist: {file} has the columns {', '.join(header)}, but none for labels: name it"
            f" {'|'.join(LABEL_COLUMNS)}, or keep only the column {header[path_column]!r}"
        )
    images = []
    for number, cells in rows:
        path = _cell(cells, path_column)
        if not path:
            raise DataError(f"imagelist: line {number} of {file} has no path")
        label = None if label_column is None else _cell(cells, label_column)
        images.append(ListedImage(number, _portable(path), _present(label)))
    if not images:
        raise DataError(f"imagelist: {file} has a header, but lists no image")
    return images


def _cell(cells: list[str], column: int) -> str:
    return cells[column] if column < len(cells) else ""


def _parse_line(number: int, line: str, suffixes: tuple[str, ...]) -> ListedImage:
    if line.lower().endswith(suffixes):
        return ListedImage(number, _portable(line), None)
    separator = "\t" if "\t" in line else None
    path, *labels = line.rsplit(separator, maxsplit=1)
    label = labels[0].strip() if labels else None
    return ListedImage(number, _portable(path.strip()), _present(label))


def _present(label: str | None) -> str | None:
    return None if label is None or label in _MISSING else label


def _portable(path: str) -> str:
    """Return a path with slashes if it was written on Windows."""
    return path if "/" in path else path.replace("\\", "/")
