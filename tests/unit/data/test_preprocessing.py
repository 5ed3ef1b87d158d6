from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from adaptune.data.preprocessing import decode, prepare
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
    ours = prepare(NOISE, crop=None, size=20, channels=1)[:, 0].astype(int)
    theirs = np.stack([np.asarray(Image.fromarray(image).convert("L")) for image in NOISE]).astype(
        int
    )
    assert np.abs(ours - theirs).max() <= 1


def test_grey_becomes_rgb_by_repetition() -> None:
    rgb = prepare(NOISE[..., 0], crop=None, size=16, channels=3)
    assert rgb.shape == (3, 3, 16, 16)
    assert np.array_equal(rgb[:, 0], rgb[:, 1])
    assert np.array_equal(rgb[:, 0], rgb[:, 2])


@pytest.mark.parametrize("size", [8, 16, 64])
def test_resizing_agrees_with_pil(size: int) -> None:
    ours = prepare(NOISE, crop=None, size=size, channels=3)[0].astype(int)
    bilinear = Image.Resampling.BILINEAR
    theirs = np.asarray(Image.fromarray(NOISE[0]).resize((size, size), bilinear)).astype(int)
    assert np.abs(ours.transpose(1, 2, 0) - theirs).max() <= 1


def test_images_of_different_sizes_give_the_same_as_one_by_one() -> None:
    mixed = [NOISE[0], NOISE[1, :12, :16], NOISE[2, :, :, 0]]
    together = prepare(mixed, crop=None, size=16, channels=3)
    assert together.shape == (3, 3, 16, 16)
    assert np.array_equal(together[0], prepare(NOISE[:1], crop=None, size=16, channels=3)[0])


def test_more_images_than_a_chunk_keep_their_order() -> None:
    images = (np.arange(1100) % 256).astype(np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8)
    assert np.array_equal(
        prepare(images, crop=None, size=2, channels=1)[:, 0, 0, 0], images[:, 0, 0]
    )


@pytest.mark.parametrize(
    "image", [np.zeros((1, 4, 4, 2), np.uint8), np.zeros((1, 4, 4), np.float32)]
)
def test_other_forms_are_refused(image: np.ndarray) -> None:
    with pytest.raises(DataError, match="must be uint8, HW or HWC"):
        prepare(image, crop=None, size=16, channels=3)


def test_decode_names_what_it_cannot_read() -> None:
    with pytest.raises(DataError, match="row 7 cannot be read"):
        decode(b"", "row 7")
