"""Generators for G_st and G_ts: images (N, C, H, W) in [-1, 1] → (N, C, H, W) in [-1, 1]."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from adaptune.models.norm import InstanceNorm, with_cast_norms

PaddingMode = Literal["reflect", "zeros"]


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with instance norm and a skip connection (Zhu et al. 2017, app. 7.2).

    Args:
        width: D, channels of the input and the output.
        padding_mode: padding of both convolutions.

    Attributes:
        is_recomputed: whether the backward pass computes the block again instead of storing what
            it needs (Chen et al. 2016).
    """

    def __init__(self, width: int, *, padding_mode: PaddingMode = "reflect") -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, padding_mode=padding_mode, bias=False),
            InstanceNorm(width, affine=True),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, padding_mode=padding_mode, bias=False),
            InstanceNorm(width, affine=True),
        )
        self.is_recomputed = False

    def forward(self, x: Tensor) -> Tensor:
        """Add the residual to `x`: (N, D, H, W) → (N, D, H, W)."""
        residual: Tensor
        if self.is_recomputed and torch.is_grad_enabled():
            residual = checkpoint(self.body, x, use_reentrant=False, preserve_rng_state=False)
        else:
            residual = self.body(x)
        return x + residual


class ResnetGenerator(nn.Module):
    """CycleGAN's generator: c7s1-k, d2k, d4k, `blocks` residual blocks, u2k, uk, c7s1-C, tanh.

    Args:
        channels: C of the images, in and out.
        width: k, the channels at full resolution (64 in the paper).
        blocks: residual blocks at quarter resolution (6 at 128 px, 9 at 256 px in the paper).
        transposed: upsample by transposed convolutions as in the paper; otherwise by
            nearest-neighbour resizing and a convolution, which leaves no checkerboard
            (Odena et al. 2016).
        init_gain: standard deviation of the normal initialisation.
    """

    def __init__(
        self,
        channels: int,
        *,
        width: int = 64,
        blocks: int = 9,
        transposed: bool = False,
        init_gain: float = 0.02,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(channels, width, 7, padding=3, padding_mode="reflect", bias=False),
            *_norm_relu(width),
        ]
        for k in (width, 2 * width):
            layers.append(nn.Conv2d(k, 2 * k, 3, stride=2, padding=1, bias=False))
            layers += _norm_relu(2 * k)
        layers += [ResidualBlock(4 * width) for _ in range(blocks)]
        for k in (4 * width, 2 * width):
            layers += _upsample(k, k // 2, transposed=transposed)
            layers += _norm_relu(k // 2)
        layers.append(nn.Conv2d(width, channels, 7, padding=3, padding_mode="reflect"))
        self.net = nn.Sequential(*layers)
        init_normal(self, init_gain)

    def forward(self, x: Tensor) -> Tensor:
        """Translate images: (N, C, H, W) in [-1, 1] → (N, C, H, W) in [-1, 1].

        H and W must be multiples of 4.
        """
        return in_range(with_cast_norms(self.net, x))


class UnshuffleGenerator(nn.Module):
    """A fast generator for small images: space-to-depth, residual blocks, depth-to-space.

    All convolutions run at (H / factor) × (W / factor) positions. They pad with zeros, because
    reflection of such small maps would cost a seventh of a training step.

    Args:
        channels: C of the images, in and out.
        width: channels of the residual blocks.
        blocks: number of residual blocks.
        factor: edge in px of the blocks that are folded into channels; must divide H and W.
        init_gain: standard deviation of the normal initialisation.
    """

    def __init__(
        self,
        channels: int,
        *,
        width: int = 32,
        blocks: int = 2,
        factor: int = 4,
        init_gain: float = 0.02,
    ) -> None:
        super().__init__()
        folded = channels * factor**2
        last = nn.Conv2d(width, folded, 3, padding=1)
        self.net = nn.Sequential(
            nn.PixelUnshuffle(factor),
            nn.Conv2d(folded, width, 3, padding=1, bias=False),
            *_norm_relu(width),
            *(ResidualBlock(width, padding_mode="zeros") for _ in range(blocks)),
            last,
            nn.PixelShuffle(factor),
        )
        init_normal(self, init_gain)
        icnr_(last.weight, factor**2)

    def forward(self, x: Tensor) -> Tensor:
        """Translate images: (N, C, H, W) in [-1, 1] → (N, C, H, W) in [-1, 1]."""
        return in_range(with_cast_norms(self.net, x))


def init_normal(module: nn.Module, gain: float) -> None:
    """Initialise a network as CycleGAN does.

    Weights of convolutions are drawn from N(0, gain²), scales of instance norms from N(1, gain²),
    and biases are 0.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(part.weight, 0.0, gain)
        elif isinstance(part, InstanceNorm) and part.weight is not None:
            nn.init.normal_(part.weight, 1.0, gain)
        else:
            continue
        if part.bias is not None:
            nn.init.zeros_(part.bias)


@torch.no_grad()
def icnr_(weight: Tensor, group: int) -> None:
    """Set equal weights for the `group` channels of each block of a pixel shuffle.

    The shuffled output then starts as nearest-neighbour upsampling, without a checkerboard
    (Aitken et al. 2017).

    Args:
        weight: (C_out, C_in, K, K) of the convolution before the shuffle, changed in place; C_out
            is a multiple of `group`.
        group: pixels of a block, the square of the upscaling factor.
    """
    weight.copy_(weight[::group].repeat_interleave(group, dim=0))


def in_range(x: Tensor) -> Tensor:
    """Return tanh of the last layer in at least float32: (N, C, H, W) → (N, C, H, W).

    In bfloat16, it is exactly 1 from 3.46 on. Its gradient is 0 there, so that such a pixel could
    not change any more.
    """
    return torch.tanh(x if x.dtype == torch.float64 else x.float())


def _norm_relu(width: int) -> tuple[nn.Module, nn.Module]:
    # No running statistics: they would change the images in eval mode.
    return InstanceNorm(width, affine=True), nn.ReLU(inplace=True)


def _upsample(width: int, out: int, *, transposed: bool) -> list[nn.Module]:
    if transposed:
        return [
            nn.ConvTranspose2d(width, out, 3, stride=2, padding=1, output_padding=1, bias=False)
        ]
    return [
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.Conv2d(width, out, 3, padding=1, padding_mode="reflect", bias=False),
    ]
