"""Image files as people report them to Pillow, torchvision and CycleGAN's repository."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.image_bytes import Tiff, deep_png, saved

from adaptune.data.domain import Decoding
from adaptune.data.preprocessing import decode, images_of_any_size, prepare
from adaptune.errors import DataError

NOISE = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
RAMP = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)


def as_grey(content: bytes) -> list[int]:
    """Return the distinct values of a file that is prepared as one channel of 16 px."""
    prepared = prepare([decode(content, "a")], crop=None, size=16, channels=1)
    return np.unique(prepared).tolist()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_grey_scan_of_16_bits_is_no_white_rectangle(kind: str) -> None:
    assert as_grey(saved(Image.fromarray(RAMP), kind)) == list(range(256))


def test_a_colour_scan_of_16_bits_keeps_its_shadows() -> None:
    shadows = np.arange(256, dtype=np.uint16).reshape(16, 16, 1).repeat(3, axis=2)
    decoded = decode(deep_png(shadows), "a")
    assert len(np.unique(decoded)) == 256  # the high bytes are all 0


def test_a_colour_tiff_of_16_bits_from_a_scanner_is_read() -> None:
    colours = np.dstack([RAMP, RAMP[::-1], RAMP.T])
    assert np.array_equal(decode(Tiff(">", photometric=2).encode(colours), "a"), colours)


def test_twelve_bits_of_a_microscope_use_the_whole_range_with_a_value_range() -> None:
    cells = (RAMP // 16).astype(np.uint16)
    decoded = decode(saved(Image.fromarray(cells), "TIFF"), "a")
    prepared = prepare([decoded], crop=None, size=16, channels=1, value_range=[(0, 4095)])
    assert (prepared.min(), prepared.max()) == (0, 255)


def test_a_page_of_grey_with_alpha_in_16_bits_is_read() -> None:
    pixels = np.dstack([RAMP, np.full_like(RAMP, 65535)])
    assert np.array_equal(decode(Tiff(extra=(2,)).encode(pixels), "a"), RAMP)


def test_a_tiff_of_five_inks_says_how_many_channels_it_has() -> None:
    decoded = decode(Tiff(extra=(0, 0, 0, 0)).encode(NOISE[..., [0, 1, 2, 0, 1]]), "a")
    with pytest.raises(DataError, match=r"has 5 channels, but `channels` is 3.*`channels: 5`"):
        prepare([decoded], crop=None, size=16, channels=3)


def test_six_pages_of_a_microscope_are_six_channels() -> None:
    pages = [RAMP[..., None] // (index + 1) for index in range(6)]
    decoded = decode(Tiff().encode(*pages), "a", Decoding(channels=6))
    assert np.array_equal(decoded, np.dstack(pages))


def test_red_green_blue_and_infrared_are_four_channels() -> None:
    pixels = NOISE[..., [0, 1, 2, 0]]
    for content in (Tiff(photometric=2, extra=(0,)).encode(pixels), saved(Image.fromarray(pixels))):
        assert np.array_equal(decode(content, "a", Decoding(channels=4)), pixels)


def test_colours_below_full_transparency_do_not_appear() -> None:
    logo = NOISE[..., [0, 1, 2, 0]].copy()
    logo[..., 3] = 0
    for kind in ("PNG", "WEBP", "TIFF"):
        assert (decode(saved(Image.fromarray(logo), kind), "a") == 255).all()


def test_a_digit_on_a_transparent_ground_is_dark_on_white() -> None:
    digit = np.zeros((16, 16, 2), np.uint8)  # black ink, black below the transparent ground
    digit[4:12, 7:9, 1] = 255
    decoded = decode(saved(Image.fromarray(digit)), "a")
    assert decoded.shape == (16, 16)
    assert (decoded == 0).sum() == 16
    assert (decoded == 255).sum() == 240


def test_a_palette_with_alpha_in_bytes_is_read_without_a_warning() -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "L").convert("P")
    image.putpalette([9, 9, 9, 10, 20, 30, 40, 50, 60])
    decoded = decode(saved(image, transparency=b"\x00\x80\xff"), "a", Decoding((0, 0, 0)))
    assert decoded.tolist() == [[[0, 0, 0], [5, 10, 15], [40, 50, 60]]]


def test_a_transparent_grey_value_of_a_png_shows_the_background() -> None:
    image = Image.fromarray(np.array([[0, 90, 200]], np.uint8))
    assert decode(saved(image, transparency=90), "a").tolist() == [[0, 255, 200]]


def test_an_animation_gives_its_first_frame() -> None:
    frames = [Image.new("L", (16, 16), value) for value in (50, 200)]
    for kind in ("GIF", "WEBP", "PNG"):
        content = saved(frames[0], kind, save_all=True, append_images=frames[1:])
        assert abs(decode(content, "a").astype(int) - 50).max() <= 2


def test_a_jpg_of_a_phone_that_holds_two_pictures_gives_the_first() -> None:
    pictures = [Image.new("RGB", (16, 16), (value,) * 3) for value in (50, 200)]
    content = saved(pictures[0], "MPO", save_all=True, append_images=pictures[1:])
    assert abs(decode(content, "a.jpg").astype(int) - 50).max() <= 2


def test_a_cmyk_jpeg_of_photoshop_is_not_inverted() -> None:
    white = Image.new("CMYK", (16, 16), (0, 0, 0, 0))
    decoded = decode(saved(white, "JPEG"), "a.jpg")
    assert decoded.shape == (16, 16, 3)
    assert decoded.min() >= 250


def jpeg_with_exif(exif: bytes) -> bytes:
    content = saved(Image.fromarray(NOISE), "JPEG")
    return content[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + content[2:]


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\x00\x00Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00",
        b"Exif\x00\x00",
        b"Exif\x00\x00II*\x00\xff\xff\xff\xff",
        b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff\x01\x12",
        # An orientation of four bytes of text.
        b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x02\x00\x04\x00\x00\x00abc\x00",
    ],
    ids=["twice", "empty", "outside", "short", "text"],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_exif_does_not_hide_the_picture(exif: bytes) -> None:
    expected = decode(saved(Image.fromarray(NOISE), "JPEG"), "a")
    assert np.array_equal(decode(jpeg_with_exif(exif), "a"), expected)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM"])
def test_a_download_that_stopped_halfway_is_named(kind: str) -> None:
    content = saved(Image.fromarray(NOISE), kind)
    with pytest.raises(DataError, match=rf"photo\.{kind} cannot be read as an image"):
        decode(content[: len(content) // 2], f"photo.{kind}")


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 1000, b"<!DOCTYPE html><html>404</html>", b'<svg xmlns="http://www.w3.org"/>'],
    ids=["empty", "zeros", "html", "svg"],
)
def test_a_file_that_is_no_picture_is_named(content: bytes) -> None:
    with pytest.raises(DataError, match=r"photo\.jpg cannot be read as an image of PNG, JPEG"):
        decode(content, "photo.jpg")


def test_a_photograph_of_a_phone_that_is_called_png_names_the_extra() -> None:
    content = struct.pack(">I", 24) + b"ftypheic" + bytes(4) + b"mif1heic" + bytes(200)
    with pytest.raises(DataError, match="HEIC"):
        decode(content, "IMG_2342.png")


def test_a_png_that_is_called_jpg_is_read_as_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.JPG").write_bytes(saved(Image.fromarray(NOISE)))
    assert np.array_equal(decode(tmp_path / "a.JPG", "a"), NOISE)


def test_a_tiff_that_expands_to_gigabytes_is_refused_by_its_header() -> None:
    [page] = [np.zeros((10, 10, 5), np.uint16)]
    content = Tiff().encode(page)
    width = struct.pack("<HHII", 256, 4, 1, 10)
    forged = content.replace(width, struct.pack("<HHII", 256, 4, 1, 2**31 - 1))
    assert forged != content
    with images_of_any_size(), pytest.raises(DataError, match="at most 100 megapixels"):
        decode(forged, "a.tif")


def test_a_colour_ppm_of_16_bits_is_refused_and_not_cut() -> None:
    content = b"P6\n2 1\n65535\n" + bytes(range(12))
    with pytest.raises(DataError, match=r"colour PPM of more than 8 bits.*PNG or TIFF of 16 bits"):
        decode(content, "a.ppm")
    assert decode(b"P6\n2 1\n255\n" + bytes(range(6)), "a").tolist() == [[[0, 1, 2], [3, 4, 5]]]


def test_a_bilevel_fax_is_black_and_white() -> None:
    image = Image.fromarray(NOISE[..., 0] > 127)
    content = io.BytesIO()
    image.save(content, "TIFF", compression="group4")
    assert np.unique(decode(content.getvalue(), "a")).tolist() == [0, 255]
