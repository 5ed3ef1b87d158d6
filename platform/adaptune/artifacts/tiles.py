"""Translation of images of any size in overlapping tiles of the training size."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from adaptune.artifacts.preprocess import to_uint8
from adaptune.data.array_types import Images, Pixels

Translate = Callable[[Pixels], Tensor]
Floats = npt.NDArray[np.float32]


def translate_in_tiles(
    image: Pixels, translate: Translate, *, size: int, batch_size: int
) -> Images:
    """Translate an image tile by tile, and blend the tiles.

    Each pixel is in up to four tiles. It is their mean with weights that vanish at the borders of
    a tile, so that no border is visible although each tile has its own instance norms. Beyond the
    bytes of the image and of its translation, the memory depends on the tile and the width of the
    image.

    Args:
        image: (H, W, C). One that is smaller than a tile is mirrored at its borders.
        translate: translates tiles, (B, S, S, C) → float (B, C', S, S) in [-1, 1].
        size: S in px, even.
        batch_size: largest B.

    Returns:
        uint8 (H, W, C').
    """
    height, width = image.shape[:2]
    padded = _at_least(image, size)
    tops = _starts(padded.shape[0], size)
    lefts = _starts(padded.shape[1], size)
    parts: list[Images] = []
    sums: Floats | None = None
    for index, top in enumerate(tops):
        band = _band(padded[top : top + size], lefts, translate, size, batch_size)
        if sums is None:
            sums = np.zeros_like(band)
        sums += band
        end = tops[index + 1] if index + 1 < len(tops) else padded.shape[0]
        parts.append(_finished(sums[:, : end - top]))
        sums = _shifted(sums, end - top)
    return np.concatenate(parts)[:height, :width]


def _band(
    rows: Pixels, lefts: Sequence[int], translate: Translate, size: int, batch_size: int
) -> Floats:
    """Return the weighted sum of the tiles of a row, and of their weights: (C' + 1, S, W)."""
    window = _window(size)
    weights = window[:, None] * window
    band: Floats | None = None
    for start in range(0, len(lefts), batch_size):
        batch = lefts[start : start + batch_size]
        tiles = np.stack([rows[:, left : left + size] for left in batch])
        for left, translated in zip(batch, translate(tiles).cpu().numpy(), strict=True):
            if band is None:
                band = np.zeros((len(translated) + 1, size, rows.shape[1]), dtype=np.float32)
            band[:-1, :, left : left + size] += translated * weights
            band[-1, :, left : left + size] += weights
    assert band is not None
    return band


def _finished(sums: Floats) -> Images:
    """Return the pixels of sums to which no further tile adds: (C' + 1, H, W) → (H, W, C')."""
    mean = torch.from_numpy(sums[:-1] / sums[-1:])
    return to_uint8(mean).permute(1, 2, 0).numpy()


def _shifted(sums: Floats, rows: int) -> Floats:
    shifted = np.zeros_like(sums)
    shifted[:, : sums.shape[1] - rows] = sums[:, rows:]
    return shifted


def _window(size: int) -> Floats:
    """Return weights that rise from almost 0 to 1 and fall again: (S,); halves add up to 1."""
    return np.square(np.sin(np.pi * (np.arange(size) + 0.5) / size)).astype(np.float32)


def _starts(length: int, size: int) -> list[int]:
    """Return the first pixels of tiles that overlap by half, or by more at the end."""
    return [*range(0, length - size, size // 2), length - size]


def _at_least(image: Pixels, size: int) -> Pixels:
    below = max(0, size - image.shape[0])
    right = max(0, size - image.shape[1])
    if not below and not right:
        return image
    return np.pad(image, ((0, below), (0, right), (0, 0)), mode="symmetric")
