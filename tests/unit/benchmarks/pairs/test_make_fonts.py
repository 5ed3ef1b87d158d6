from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib import get_data_path
from pairs import make_fonts
from pairs.make_fonts import Typeface, draw_image, load_typefaces, write_images
from PIL import Image
from support.domains import load

FONTS = Path(get_data_path()) / "fonts" / "ttf"
WITH_DIGITS = ("DejaVuSans.ttf", "DejaVuSerif.ttf", "cmr10.ttf")
OF_SYMBOLS = ("cmex10.ttf", "cmsy10.ttf")


@pytest.fixture(scope="module")
def typefaces() -> list[Typeface]:
    return load_typefaces([FONTS / name for name in WITH_DIGITS])


def test_fonts_of_symbols_are_left_out(typefaces: list[Typeface]) -> None:
    names = WITH_DIGITS + OF_SYMBOLS
    chosen = load_typefaces([FONTS / name for name in names])
    assert [typeface.key for typeface in chosen] == [typeface.key for typeface in typefaces]
    assert sorted(typeface.family for typeface in chosen) == [
        "DejaVu Sans",
        "DejaVu Serif",
        "cmr10",
    ]


def test_a_file_that_is_no_font_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "empty.ttf").write_bytes(b"")
    assert load_typefaces([tmp_path / "empty.ttf"]) == []


def test_a_copy_of_a_font_adds_nothing(tmp_path: Path, typefaces: list[Typeface]) -> None:
    files = [FONTS / name for name in WITH_DIGITS]
    copy = shutil.copy(files[0], tmp_path / "copy.ttf")
    assert len(load_typefaces([*files, Path(copy)])) == len(typefaces)


def test_the_same_fonts_give_the_same_bytes_wherever_they_are(
    tmp_path: Path, typefaces: list[Typeface]
) -> None:
    elsewhere = []
    for number, name in enumerate(reversed(WITH_DIGITS)):
        elsewhere.append(Path(shutil.copy(FONTS / name, tmp_path / f"{number}.ttf")))
    write_images(tmp_path / "first", typefaces, 40, 32, seed=3)
    write_images(tmp_path / "second", load_typefaces(elsewhere), 40, 32, seed=3)
    files = sorted((tmp_path / "first").glob("*/*.png"))
    assert len(files) == 40
    for file in files:
        assert (
            file.read_bytes() == (tmp_path / "second" / file.parent.name / file.name).read_bytes()
        )


def test_another_seed_gives_other_images(tmp_path: Path, typefaces: list[Typeface]) -> None:
    for seed in (0, 1):
        write_images(tmp_path / str(seed), typefaces, 10, 32, seed)
    name = "5/0000.png"
    assert (tmp_path / "0" / name).read_bytes() != (tmp_path / "1" / name).read_bytes()


def test_the_folder_is_a_domain_of_ten_classes(tmp_path: Path, typefaces: list[Typeface]) -> None:
    write_images(tmp_path / "images", typefaces, 50, 24, seed=0)
    domain = load(f"imagefolder:{tmp_path / 'images'}", size=24, channels=1)
    assert domain.images.shape == (50, 1, 24, 24)
    assert np.bincount(domain.labels).tolist() == [5] * 10


def test_a_digit_stays_inside_its_image_and_keeps_its_ink(typefaces: list[Typeface]) -> None:
    for number in range(60):
        digit = typefaces[number % len(typefaces)].digits[number % 10]
        image = draw_image(digit, 32, np.random.default_rng(number))
        box = image.getbbox()
        assert image.size == (32, 32)
        assert box is not None
        assert box[3] - box[1] >= 0.55 * 32 or box[2] - box[0] >= 0.9 * 32
        assert np.asarray(image).max() > 100


def test_thin_strokes_are_not_thinned_away() -> None:
    image = Image.new("L", (64, 64))
    image.paste(255, (30, 10, 32, 50))
    assert np.array_equal(make_fonts._with_thickness(image, -5), image)
    image.paste(255, (10, 10, 50, 50))
    assert np.asarray(make_fonts._with_thickness(image, -5)).sum() == 255 * 36 * 36


def test_the_command_refuses_a_folder_that_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["make_fonts.py", str(tmp_path)])
    with pytest.raises(SystemExit, match="exists: remove it, or name another folder"):
        make_fonts.main()


def test_the_command_asks_for_fonts_if_there_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    fonts = tmp_path / "fonts"
    fonts.mkdir()
    monkeypatch.setattr("sys.argv", ["make_fonts.py", str(out), "--fonts", str(fonts)])
    with pytest.raises(SystemExit, match="no font with ten legible digits"):
        make_fonts.main()
    assert not out.exists()
