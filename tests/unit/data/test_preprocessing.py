from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adaptune.data.preprocessing import BATCH_SIZE, decode, prepare
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


@pytest.mark.parametrize(
    "image", [np.zeros((1, 4, 4, 2), np.uint8), np.zeros((1, 4, 4), np.float32)]
)
def test_other_forms_are_refused(image: np.ndarray) -> None:
    with pytest.raises(DataError, match="must be uint8, HW or HWC"):
        prepare(image, crop=None, size=16, channels=3)


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


def test_decode_takes_the_colours_of_a_palette_with_transparency() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    decoded = decode(encode(image, transparency=b"\x00\xff"), "image")
    assert decoded.tolist() == [[[10, 20, 30], [40, 50, 60]]]


def test_decode_turns_an_image_upright_by_its_exif_tag(tmp_path: Path) -> None:
    image = Image.new("L", (3, 2))
    image.putpixel((0, 0), 200)
    exif = Image.Exif()
    exif[0x0112] = 3  # the orientation tag: rotated by 180°
    image.save(tmp_path / "turned.png", exif=exif)
    decoded = decode(tmp_path / "turned.png", "image")
    assert decoded[1, 2] == 200
    assert decoded.sum() == 200
