from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from support.image_bytes import Tiff

from adaptune.data.domain import LoadRequest
from adaptune.data.headers import DescribedSource, ImageHeader, read_header
from adaptune.data.image_files import ImageFiles
from adaptune.data.parquet import ParquetImages, parquet
from adaptune.errors import DataError


def rows_of(file: Path, rows: list[object]) -> ParquetImages:
    pq.write_table(pa.table({"image": rows}), file)
    raw = parquet(LoadRequest(root=Path(), path=file, seed=0, half=slice(None)))
    assert isinstance(raw.images, ParquetImages)
    return raw.images


@pytest.mark.parametrize(
    ("mode", "name", "form"),
    [
        ("RGB", "a.png", "PNG, RGB, 8 bit"),
        ("L", "a.jpg", "JPEG, grey, 8 bit"),
        ("RGBA", "a.png", "PNG, RGB with alpha, 8 bit"),
        ("1", "a.tiff", "TIFF, black and white, 1 bit"),
        ("I;16", "a.png", "PNG, grey, 16 bit"),
    ],
)
def test_a_header_has_size_channels_and_bits(
    tmp_path: Path, mode: str, name: str, form: str
) -> None:
    file = tmp_path / name
    Image.new(mode, (7, 5)).save(file)
    assert read_header(file, "a") == ImageHeader(7, 5, form)
    assert read_header(file.read_bytes(), "a") == ImageHeader(7, 5, form)


def test_a_file_without_a_header_is_refused_by_its_name() -> None:
    with pytest.raises(DataError, match=r"my\.png cannot be read as an image"):
        read_header(b"text", "my.png")


def test_files_know_their_names_and_headers(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    Image.new("RGB", (7, 5)).save(file)
    source = ImageFiles((str(file),))
    assert isinstance(source, DescribedSource)
    assert source.name(0) == str(file)
    assert source.header(0).width == 7


def test_rows_know_their_names_and_headers(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    Image.new("RGB", (7, 5)).save(file)
    content = {"bytes": file.read_bytes(), "path": None}
    beside = {"bytes": None, "path": "a.png"}
    source = rows_of(tmp_path / "images.parquet", [content, beside])
    assert isinstance(source, DescribedSource)
    for row in (0, 1):
        assert source.name(row) == f"{tmp_path / 'images.parquet'}, row {row}"
        assert source.header(row).height == 5
    numbers = rows_of(tmp_path / "numbers.parquet", [[[0, 1], [2, 3]]])
    with pytest.raises(DataError, match="row 0 has no header"):
        numbers.header(0)


def test_arrays_and_tiff_files_of_many_channels_have_headers(tmp_path: Path) -> None:
    array = tmp_path / "a.npy"
    np.save(array, np.zeros((5, 7, 4), dtype=np.uint16))
    assert read_header(array, "a") == ImageHeader(7, 5, "NPY, 4 channel(s), 16 bit")
    content = Tiff().encode(np.zeros((5, 7, 6), dtype=np.uint16))
    assert read_header(content, "a") == ImageHeader(7, 5, "TIFF, 6 channel(s), 16 bit")
