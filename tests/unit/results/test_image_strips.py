from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from adaptune.results.image_strips import image_uri


def opened(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_small_images_are_side_by_side_without_loss() -> None:
    random = np.random.default_rng(0)
    first, second = random.integers(0, 256, (2, 3, 16, 16), dtype=np.uint8)
    uri = image_uri([first, second])
    assert uri.startswith("data:image/png;base64,")
    pixels = np.asarray(opened(uri))
    assert pixels.shape == (16, 34, 3)
    np.testing.assert_array_equal(pixels[:, :16], first.transpose(1, 2, 0))
    np.testing.assert_array_equal(pixels[:, 18:], second.transpose(1, 2, 0))
    assert (pixels[:, 16:18] == 255).all()


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "L"), (3, "RGB"), (5, "RGB")])
def test_images_of_any_number_of_channels_are_shown(channels: int, mode: str) -> None:
    assert opened(image_uri([np.zeros((channels, 16, 16), dtype=np.uint8)])).mode == mode


def test_large_images_are_shown_at_64_px_as_jpeg() -> None:
    uri = image_uri([np.zeros((3, 256, 256), dtype=np.uint8)] * 2)
    assert uri.startswith("data:image/jpeg;base64,")
    assert opened(uri).size == (130, 64)
