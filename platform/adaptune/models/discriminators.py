"""Discriminators: of image patches, and of a classifier's logits."""

from __future__ import annotations

from torch import Tensor, nn

from adaptune.models.generators import init_normal


class PatchDiscriminator(nn.Module):
    """A PatchGAN (Isola et al. 2017): one real/fake logit a patch.

    `layers` stride-2 convolutions, the width doubling up to 8×, then one convolution to a logit.
    (N, C, H, W) in [-1, 1] → (N, 1, H / 2^layers, W / 2^layers), without a sigmoid.
    """

    def __init__(
        self, channels: int, *, width: int = 64, layers: int = 3, init_gain: float = 0.02
    ) -> None:
        super().__init__()
        parts: list[nn.Module] = [
            nn.Conv2d(channels, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        for layer in range(1, layers):
            out = width * min(2**layer, 8)
            parts += [
                nn.Conv2d(
                    width * min(2 ** (layer - 1), 8), out, 4, stride=2, padding=1, bias=False
                ),
                nn.InstanceNorm2d(out, affine=True),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        parts.append(nn.Conv2d(width * min(2 ** (layers - 1), 8), 1, 3, padding=1))
        self.net = nn.Sequential(*parts)
        init_normal(self, init_gain)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)  # type: ignore[no-any-return]


class FeatureDiscriminator(nn.Module):
    """D_feat of CyCADA: an MLP width-width-2 on a classifier's K logits. (N, K) → (N, 2) logits.

    Class 1 is "from translated source images", class 0 "from target images".
    """

    def __init__(self, classes: int, *, width: int = 500) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(classes, width),
            nn.ReLU(inplace=True),
            nn.Linear(width, width),
            nn.ReLU(inplace=True),
            nn.Linear(width, 2),
        )

    def forward(self, logits: Tensor) -> Tensor:
        return self.net(logits)  # type: ignore[no-any-return]
