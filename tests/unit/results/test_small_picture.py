from __future__ import annotations

import io

import pytest
from PIL import Image

from adaptune.results.small_picture import small_picture


def png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, "png")
    return file.getvalue()


@pytest.mark.parametrize("form", ["webp", "jpeg"])
@pytest.mark.parametrize(("size", "small"), [((342, 172), (342, 172)), ((2000, 1000), (662, 331))])
def test_a_picture_has_at_most_a_width(
    form: str, size: tuple[int, int], small: tuple[int, int]
) -> None:
    result = small_picture(png(*size), form, "grid")
    assert result is not None
    contents, shown = result
    picture = Image.open(io.BytesIO(contents))
    assert picture.size == shown == small
    assert picture.format == form.upper()


def test_a_damaged_picture_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert small_picture(b"damaged", "webp", "grid 3") is None
    assert caplog.messages[0].startswith("grid 3 not shown: ")
