from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from adaptune.data.headers import DescribedSource, ImageHeader, read_header
from adaptune.data.image_files import ImageFiles
from adaptune.data.parquet import ParquetImages
from adaptune.errors import DataError


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
    column = pa.chunked_array([[{"bytes": file.read_bytes()}]])
    source = ParquetImages(column, Path("images.parquet"))
    assert isinstance(source, DescribedSource)
    assert source.name(0) == "images.parquet, row 0"
    assert source.header(0).height == 5
    numbers = ParquetImages(pa.chunked_array([[np.zeros((2, 2)).tolist()]]), Path("a.parquet"))
    with pytest.raises(DataError, match="row 0 has no header"):
        numbers.header(0)
