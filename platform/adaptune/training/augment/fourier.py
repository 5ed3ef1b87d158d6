"""Translation without a network: Fourier domain adaptation (Yang & Soatto 2020)."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor


def fourier_adapted(source: Tensor, target: Tensor, beta: float) -> Tensor:
    """Give source images the low frequencies of target images, eq. 3 of FDA.

    The amplitudes of the lowest frequencies of each source image are replaced by those of the
    target image at the same place in the batch. All phases, which hold the shapes, stay. Channels
    are treated separately.

    Args:
        source: (N, C, H, W) in [-1, 1], or several such batches one after the other.
        target: (N, C, H, W) in [-1, 1].
        beta: half the size of the square of replaced frequencies, relative to the shorter side of
            the images, in [0, 0.5]; 0 returns the source images.

    Returns:
        The changed source images, in [-1, 1].
    """
    if beta == 0:
        return source
    height, width = source.shape[-2:]
    highest = int(beta * min(height, width))
    rows = _low_rows(height, highest, source.device)
    columns = slice(highest + 1)
    # From 0 as black: the amplitude of frequency 0 is then the mean brightness.
    spectrum = torch.fft.rfft2((source.float() + 1) / 2)
    target_spectrum = torch.fft.rfft2((target.float() + 1) / 2)
    amplitudes = target_spectrum[:, :, rows, columns].abs()
    if len(source) > len(target):
        amplitudes = amplitudes.repeat(len(source) // len(target), 1, 1, 1)
    phases = spectrum[:, :, rows, columns].angle()
    spectrum[:, :, rows, columns] = torch.polar(amplitudes, phases)
    images: Tensor = torch.fft.irfft2(spectrum, s=(height, width))
    return (2 * images - 1).clamp(-1, 1)


@cache
def _low_rows(height: int, highest: int, device: torch.device) -> Tensor:
    """Return the rows of a spectrum up to a frequency: int64, made once per device."""
    is_low: Tensor = torch.fft.fftfreq(height, 1 / height).abs() <= highest
    return is_low.nonzero().flatten().to(device)
