"""Contact sheets show pairs in rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adaptune.artifacts.contact_sheets import EDGE_PX, ContactSheets
from adaptune.data.preprocessing import decode
from adaptune.errors import ResultsError


def plain(value: int, shape: tuple[int, int, int] = (20, 20, 3)) -> np.ndarray:
    return np.full(shape, value, dtype=np.uint8)


def test_an_image_is_left_of_its_translation(tmp_path: Path) -> None:
    sheets = ContactSheets(tmp_path / "sheets")
    for value in range(5):
        sheets.add(plain(value), plain(100 + value, (10, 40, 1)))
    sheets.close()
    (file,) = (tmp_path / "sheets").iterdir()
    sheet = decode(file, "sheet")
    middle = 8 + EDGE_PX // 2
    pair = 2 * EDGE_PX + 8
    row = [int(sheet[middle, middle + column * pair, 0]) for column in range(4)]
    assert row == [0, 1, 2, 3]
    assert sheet[middle, middle + EDGE_PX, 0] == 100
    assert sheet[10, middle + EDGE_PX, 0] == 255  # a wide image leaves room above and below
    assert sheet[middle + EDGE_PX + 8, middle, 0] == 4


def test_a_full_sheet_is_written_and_an_empty_one_is_not(tmp_path: Path) -> None:
    sheets = ContactSheets(tmp_path)
    for _ in range(24):
        sheets.add(plain(1), plain(2))
    assert [file.name for file in tmp_path.iterdir()] == ["contact-sheet-0001.png"]
    sheets.close()
    assert len(list(tmp_path.iterdir())) == 1


def test_deep_images_of_five_channels_are_shown_by_three(tmp_path: Path) -> None:
    sheets = ContactSheets(tmp_path)
    sheets.add(np.full((9, 9, 5), 0x8000, dtype=np.uint16), plain(7, (9, 9, 5)))
    sheets.close()
    sheet = decode(tmp_path / "contact-sheet-0001.png", "sheet")
    assert sheet[70, 70].tolist() == [128, 128, 128]


def test_a_sheet_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    sheets = ContactSheets(tmp_path / "file")
    sheets.add(plain(1), plain(2))
    with pytest.raises(ResultsError, match=r"cannot write .*contact-sheet-0001\.png"):
        sheets.close()
