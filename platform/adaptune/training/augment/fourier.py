"""Translation without a network: Fourier domain adaptation (Yang & Soatto 2020)."""

from __future__ import annotations

import torch
from torch import Tensor


def fourier_adapted(source: Tensor, target: Tensor, beta: float) -> Tensor:
    """Give source images the low frequencies of target images, eq. 3 of FDA.

    The amplitudes of the lowest frequencies of each source image are replaced by those of the
    target image at the same place in the batch. All phases, which hold the shapes, stay. Channels
    are treated separately.

    Args:
        source: (N, C, H, W) in [-1, 1].
        target: (N, C, H, W) in [-1, 1].
        beta: half the size of the square of replaced frequencies, relative to the shorter side of
            the images, in [0, 0.5]; 0 returns the source images.

    Returns:
        (N, C, H, W) in [-1, 1].
    """
    if beta == 0:
        return source
    height, width = source.shape[-2:]
    highest = int(beta * min(height, width))
    # From 0 as black: the amplitude of frequency 0 is then the mean brightness.
    spectrum = torch.fft.rfft2((source.float() + 1) / 2)
    target_spectrum = torch.fft.rfft2((target.float() + 1) / 2)
    rows = torch.fft.fftfreq(height, 1 / height, device=source.device).abs() <= highest
    columns = torch.fft.rfftfreq(width, 1 / width, device=source.device) <= highest
    is_low = rows[:, None] & columns
    mixed = torch.polar(target_spectrum.abs(), spectrum.angle())
    mixed = torch.where(is_low, mixed, spectrum)
    images: Tensor = torch.fft.irfft2(mixed, s=(height, width))
    return (2 * images - 1).clamp(-1, 1)
