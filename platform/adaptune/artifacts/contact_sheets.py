"""Contact sheets: images next to their translations."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from adaptune.data.array_types import Images, Pixels
from adaptune.errors import ResultsError

PAIRS_PER_ROW = 4
ROWS = 6
EDGE_PX = 128  # of the square that an image is fitted into
_GAP_PX = 8
_BACKGROUND = 255


class ContactSheets:
    """PNGs of 24 pairs each: an image on the left, its translation on the right.

    Args:
        folder: where they are written, as `contact-sheet-0001.png` and so on; created if necessary.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pairs: list[Images] = []
        self._count = 0

    def add(self, image: Pixels, translated: Images) -> None:
        """Add an image, uint8 or uint16 (H, W, C), and its translation, uint8 (H, W, C).

        Raises:
            ResultsError: a sheet is full and cannot be written.
        """
        self._pairs.append(np.concatenate([_thumbnail(image), _thumbnail(translated)], axis=1))
        if len(self._pairs) == PAIRS_PER_ROW * ROWS:
            self.close()

    def close(self) -> None:
        """Write the last sheet, unless it is empty.

        Raises:
            ResultsError: it cannot be written.
        """
        from PIL import Image

        if not self._pairs:
            return
        self._count += 1
        path = self._folder / f"contact-sheet-{self._count:04}.png"
        sheet = Image.fromarray(_sheet(self._pairs))
        self._pairs = []
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            sheet.save(path, "PNG")
        except OSError as error:
            raise ResultsError(f"cannot write {path}: {error}") from error


def _sheet(pairs: list[Images]) -> Images:
    height, width = EDGE_PX + _GAP_PX, 2 * EDGE_PX + _GAP_PX
    rows = -(-len(pairs) // PAIRS_PER_ROW)
    shape = (_GAP_PX + rows * height, _GAP_PX + PAIRS_PER_ROW * width, 3)
    sheet = np.full(shape, _BACKGROUND, dtype=np.uint8)
    for index, pair in enumerate(pairs):
        row, column = divmod(index, PAIRS_PER_ROW)
        top, left = _GAP_PX + row * height, _GAP_PX + column * width
        sheet[top : top + EDGE_PX, left : left + 2 * EDGE_PX] = pair
    return sheet


def _thumbnail(image: Pixels) -> Images:
    """Return an image fitted into a square, uint8 (128, 128, 3).

    Of more than three channels, the first three are shown; of two, the first.
    """
    from PIL import Image

    colours = image[..., :3] if image.shape[2] >= 3 else image[..., :1].repeat(3, axis=2)
    if colours.dtype != np.uint8:
        colours = (colours >> 8).astype(np.uint8)
    height, width = colours.shape[:2]
    scale = EDGE_PX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    fitted = Image.fromarray(colours).resize(size, Image.Resampling.LANCZOS)
    square = Image.new("RGB", (EDGE_PX, EDGE_PX), (_BACKGROUND,) * 3)
    square.paste(fitted, ((EDGE_PX - size[0]) // 2, (EDGE_PX - size[1]) // 2))
    return np.asarray(square)
