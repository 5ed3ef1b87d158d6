"""Sample grids that are small enough for pages and event files."""

from __future__ import annotations

import io
import logging

from adaptune.training.sample_grid import COLUMNS

log = logging.getLogger(__name__)
_LARGEST_PX = 66 * COLUMNS + 2
_QUALITY = 82


def small_picture(png: bytes, form: str, name: str) -> tuple[bytes, tuple[int, int]] | None:
    """Return a picture, a tenth of the size of its PNG, and its width and height.

    Args:
        form: `webp` or `jpeg`.
        name: name of the picture, for the log.

    Returns:
        None if the picture cannot be read, which is logged.
    """
    from PIL import Image

    try:
        picture = Image.open(io.BytesIO(png)).convert("RGB")
    except OSError as error:
        log.warning("%s not shown: %s", name, error)
        return None
    if picture.width > _LARGEST_PX:
        height = round(picture.height * _LARGEST_PX / picture.width)
        picture = picture.resize((_LARGEST_PX, height))
    file = io.BytesIO()
    if form == "webp":
        picture.save(file, form, quality=_QUALITY, method=2)
    else:
        picture.save(file, form, quality=_QUALITY)
    return file.getvalue(), picture.size
