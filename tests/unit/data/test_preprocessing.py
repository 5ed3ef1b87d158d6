from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F  # noqa: N812  (its usual name)

from adaptune.data import preprocessing
from adaptune.data.preprocessing import (
    BATCH_SIZE,
    LUMA,
    MAX_PIXELS,
    decode,
    images_of_any_size,
    prepare,
    read_image_file,
)
from adaptune.errors import DataError

NOISE = np.random.default_rng(0).integers(0, 256, size=(3, 20, 20, 3), dtype=np.uint8)


def test_an_image_of_the_right_form_is_unchanged() -> None:
    assert np.array_equal(
        prepare(NOISE, crop=None, size=20, channels=3), NOISE.transpose(0, 3, 1, 2)
    )


def test_crop_keeps_the_centre() -> None:
    image = np.zeros((1, 8, 10), np.uint8)
    image[:, 2:6, 3:7] = 9
    assert (prepare(image, crop=4, size=4, channels=1) == 9).all()


def test_a_crop_larger_than_the_image_is_refused_with_both_sizes() -> None:
    with pytest.raises(DataError, match="crop 21 px does not fit an image of 20 × 20"):
        prepare(NOISE, crop=21, size=16, channels=3)


def test_rgb_becomes_grey_by_itu_r_601() -> None:
    grey = prepare(NOISE, crop=None, size=20, channels=1)[:, 0].astype(int)
    pil_images = [Image.fromarray(image).convert("L") for image in NOISE]
    pil_grey = np.stack([np.asarray(image) for image in pil_images]).astype(int)
    assert np.abs(grey - pil_grey).max() <= 1


def test_grey_becomes_rgb_by_repetition() -> None:
    rgb = prepare(NOISE[..., 0], crop=None, size=16, channels=3)
    assert rgb.shape == (3, 3, 16, 16)
    assert np.array_equal(rgb[:, 0], rgb[:, 1])
    assert np.array_equal(rgb[:, 0], rgb[:, 2])


@pytest.mark.parametrize("size", [8, 16, 64])
def test_resizing_agrees_with_pil(size: int) -> None:
    resized = prepare(NOISE, crop=None, size=size, channels=3)[0].astype(int)
    pil_image = Image.fromarray(NOISE[0]).resize((size, size), Image.Resampling.BILINEAR)
    pil_resized = np.asarray(pil_image).astype(int)
    assert np.abs(resized.transpose(1, 2, 0) - pil_resized).max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("stored_channels", [1, 3])
def test_images_of_8_bits_have_the_same_bits_as_by_the_steps_of_torch(
    stored_channels: int, channels: int
) -> None:
    for height, width, size in [(20, 20, 16), (17, 31, 32), (64, 48, 16), (9, 9, 128)]:
        rng = np.random.default_rng(size)
        image = rng.integers(0, 256, (1, height, width, stored_channels), dtype=np.uint8)
        pixels = torch.tensor(image).permute(0, 3, 1, 2).float()
        if (stored_channels, channels) == (3, 1):
            luma = torch.tensor(LUMA).view(1, 3, 1, 1)
            pixels = (pixels * luma).sum(dim=1, keepdim=True)
        resized = F.interpolate(
            pixels, size=(size, size), mode="bilinear", antialias=True, align_corners=False
        )
        expected = resized.round().clamp(0, 255).to(torch.uint8).expand(-1, channels, -1, -1)
        prepared = prepare(image, crop=None, size=size, channels=channels)
        assert np.array_equal(prepared, expected.numpy())


def test_images_of_different_sizes_give_the_same_as_one_by_one() -> None:
    mixed = [NOISE[0], NOISE[1, :12, :16], NOISE[2, :, :, 0]]
    together = prepare(mixed, crop=None, size=16, channels=3)
    assert together.shape == (3, 3, 16, 16)
    assert np.array_equal(together[0], prepare(NOISE[:1], crop=None, size=16, channels=3)[0])


def test_more_images_than_a_batch_keep_their_order() -> None:
    values = (np.arange(2 * BATCH_SIZE + 76) % 256).astype(np.uint8)
    images = values[:, None, None] * np.ones((1, 4, 4), np.uint8)
    prepared = prepare(images, crop=None, size=2, channels=1)
    assert np.array_equal(prepared[:, 0, 0, 0], values)


def test_a_known_number_of_images_gives_the_same_result() -> None:
    mixed = [NOISE[0], NOISE[1, :12, :16], NOISE[2, :, :, 0]]
    expected = prepare(mixed, crop=None, size=16, channels=3)
    result = prepare(iter(mixed), crop=None, size=16, channels=3, count=3)
    assert np.array_equal(result, expected)
    assert result.dtype == np.uint8


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((1, 4, 4, 2), np.uint8), "has 2 channels, but `channels` is 3.*`channels: 2`"),
        (np.zeros((1, 4, 4), np.float32), "must be uint8 or uint16, HW or HWC"),
        (np.zeros((1, 1, 4, 4, 3), np.uint8), "must be uint8 or uint16, HW or HWC"),
    ],
)
def test_other_forms_are_refused(image: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        prepare(image, crop=None, size=16, channels=3)


@pytest.mark.parametrize("shape", [(1, 0, 4), (1, 4, 0), (2, 0, 0, 3)])
def test_an_image_without_pixels_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="px has no pixel"):
        prepare(np.zeros(shape, np.uint8), crop=None, size=16, channels=3)


def test_a_file_is_read_up_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"12345")
    assert read_image_file(file, "a") == b"12345"
    monkeypatch.setattr(preprocessing, "MAX_FILE_BYTES", 4)
    with pytest.raises(DataError, match="a is too large: image files have at most"):
        read_image_file(file, "a")
    with pytest.raises(DataError, match="b cannot be read: No such file"):
        read_image_file(tmp_path / "b.png", "b")


def test_decode_names_what_it_cannot_read() -> None:
    with pytest.raises(DataError, match="row 7 cannot be read"):
        decode(b"", "row 7")


def encode(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("mode", "shape"),
    [("L", (2, 3)), ("1", (2, 3)), ("LA", (2, 3)), ("RGB", (2, 3, 3)), ("RGBA", (2, 3, 3))],
)
def test_decode_gives_grey_or_rgb(mode: str, shape: tuple[int, ...]) -> None:
    decoded = decode(encode(Image.new(mode, (3, 2))), "image")
    assert decoded.shape == shape
    assert decoded.dtype == np.uint8


def test_a_transparent_colour_of_a_palette_shows_the_background() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    decoded = decode(encode(image, transparency=b"\x00\xff"), "image")
    assert decoded.tolist() == [[[255, 255, 255], [40, 50, 60]]]


def test_decode_turns_an_image_upright_by_its_exif_tag(tmp_path: Path) -> None:
    image = Image.new("L", (3, 2))
    image.putpixel((0, 0), 200)
    exif = Image.Exif()
    exif[0x0112] = 3  # the orientation tag: rotated by 180°
    image.save(tmp_path / "turned.png", exif=exif)
    decoded = decode(tmp_path / "turned.png", "image")
    assert decoded[1, 2] == 200
    assert decoded.sum() == 200


def png_header(width: int, height: int) -> bytes:
    """Return a PNG file that ends where its pixels should begin."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + body + struct.pack(">I", 100) + b"IDAT"


@pytest.mark.parametrize(
    ("width", "height"), [(10_001, 10_000), (1, MAX_PIXELS + 1), (13_000, 13_000)]
)
def test_an_image_of_more_than_100_megapixels_is_refused_by_its_header(
    width: int, height: int
) -> None:
    with (
        images_of_any_size(),
        pytest.raises(
            DataError,
            match=rf"a\.png has {width} × {height} px: at most 100 megapixels are decoded",
        ),
    ):
        decode(png_header(width, height), "a.png")


def test_an_image_of_more_than_pillows_own_limit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_header(60_000, 60_000))
    with pytest.raises(DataError, match=r"a\.png is too large: .*3600000000 pixels"):
        decode(tmp_path / "a.png", "a.png")


def test_an_image_of_exactly_100_megapixels_is_decoded_without_a_warning() -> None:
    with images_of_any_size(), pytest.raises(DataError, match="cannot be read as an image: ") as e:
        decode(png_header(10_000, 10_000), "a.png")
    assert "bomb" not in str(e.value)


@pytest.mark.parametrize(
    "encoded",
    [
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",  # runs Ghostscript
        b"8BPS\x00\x01" + bytes(40),
        b"",
    ],
)
def test_other_formats_are_refused_whatever_the_name_of_the_file(encoded: bytes) -> None:
    with pytest.raises(DataError, match=r"a\.png cannot be read as an image of PNG, JPEG, BMP"):
        decode(encoded, "a.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "MPO", "BMP", "GIF", "TIFF", "WEBP", "PPM"])
def test_the_formats_of_the_guide_are_decoded(kind: str) -> None:
    buffer = io.BytesIO()
    Image.new("L", (3, 2), 255).save(buffer, kind)
    assert decode(buffer.getvalue(), "image").shape[:2] == (2, 3)
