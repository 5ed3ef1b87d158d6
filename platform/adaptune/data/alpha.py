"""Transparent pixels over a background."""

from __future__ import annotations

import numpy as np

from adaptune.data.array_types import Pixels

Colour = tuple[int, int, int]


def flatten(pixels: Pixels, background: Colour) -> Pixels:
    """Return an image over a background, without its alpha.

    Args:
        pixels: (H, W, 2) or (H, W, 4); the last channel is alpha, and colours are not multiplied
            by it.
        background: RGB, 0 to 255.

    Returns:
        (H, W) if the image and the background are grey, otherwise (H, W, 3).
    """
    colours = pixels[..., :-1]
    if colours.shape[-1] == 1 and len(set(background)) > 1:
        colours = np.repeat(colours, 3, axis=-1)
    alpha = pixels[..., -1:]
    full = np.iinfo(pixels.dtype).max
    if (alpha != full).any():
        colours = _blend(colours, alpha, np.array(background) * (full // 255))
    return colours[..., 0] if colours.shape[-1] == 1 else colours


def flatten_premultiplied(pixels: Pixels, background: Colour) -> Pixels:
    """Return an image over a background as `flatten`; its colours are multiplied by alpha."""
    full = int(np.iinfo(pixels.dtype).max)
    alpha = pixels[..., -1:].astype(np.uint32)
    # Colours must not exceed their alpha. Where it is 0, they have no effect.
    colours = np.minimum(pixels[..., :-1], alpha) * full
    colours = (colours + alpha // 2) // np.maximum(alpha, 1)
    straight = np.concatenate([colours, alpha], axis=-1).astype(pixels.dtype)
    return flatten(straight, background)


def with_transparent_value(pixels: Pixels, value: int | tuple[int, ...]) -> Pixels:
    """Return an image with an alpha channel, which is 0 where a pixel has one value.

    Args:
        pixels: (H, W) or (H, W, 3).
        value: the transparent grey, or RGB.
    """
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    is_opaque = (pixels != np.array(value)).any(axis=-1, keepdims=True)
    alpha = is_opaque * np.iinfo(pixels.dtype).max
    return np.concatenate([pixels, alpha.astype(pixels.dtype)], axis=-1)


def _blend(colours: Pixels, alpha: Pixels, background: np.ndarray) -> Pixels:
    full = int(np.iinfo(colours.dtype).max)
    behind = background[: colours.shape[-1]].astype(np.uint32)
    opacity = alpha.astype(np.uint32)  # the sum of products of 16 bits fits in 32 bits
    mixed = colours * opacity + behind * (full - opacity) + full // 2
    blended: Pixels = (mixed // full).astype(colours.dtype)
    return blended
