"""Discriminators of image patches (D_s, D_t) and of a classifier's logits (D_feat)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from adaptune.models.generators import init_normal
from adaptune.models.norm import InstanceNorm, with_cast_norms


class PatchDiscriminator(nn.Module):
    """A PatchGAN (Isola et al. 2017) for D_s and D_t: one real/fake logit per patch.

    Args:
        channels: C of the images.
        width: channels of the first convolution; each further one doubles them, up to 8 `width`.
        layers: number of stride-2 convolutions, at least 1.
        init_gain: standard deviation of the normal initialisation.
    """

    def __init__(
        self, channels: int, *, width: int = 64, layers: int = 3, init_gain: float = 0.02
    ) -> None:
        super().__init__()
        strides = [2] * (layers - 1)
        self.net = _patch_net(channels, width, strides, is_affine=True, last_kernel=3)
        init_normal(self, init_gain)

    def forward(self, x: Tensor) -> Tensor:
        """Classify patches as real or fake, without a sigmoid.

        (N, C, H, W) in [-1, 1] → (N, 1, H / 2^layers, W / 2^layers) logits.
        """
        return with_cast_norms(self.net, x)


class CycleGANDiscriminator(nn.Module):
    """CycleGAN's PatchGAN for D_s and D_t: 70 × 70 px per logit with three layers.

    The convolutions are Ck of Zhu et al. (2017, app. 7.2): 4 × 4, with stride 2 up to the last two.
    Instance norms have no parameters, and so the convolutions before them have no bias.

    Args:
        channels: C of the images.
        width: channels of the first convolution (64 in the paper); each further one doubles them,
            up to 8 `width`.
        layers: number of stride-2 convolutions, at least 1 (3 in the paper).
        init_gain: standard deviation of the normal initialisation.
    """

    def __init__(
        self, channels: int, *, width: int = 64, layers: int = 3, init_gain: float = 0.02
    ) -> None:
        super().__init__()
        strides = [2] * (layers - 1) + [1]
        self.net = _patch_net(channels, width, strides, is_affine=False, last_kernel=4)
        init_normal(self, init_gain)

    def forward(self, x: Tensor) -> Tensor:
        """Classify patches as real or fake, without a sigmoid.

        (N, C, H, W) in [-1, 1] → (N, 1, H / 2^layers - 2, W / 2^layers - 2) logits.
        """
        logits: Tensor = self.net(x)
        return logits


class FeatureDiscriminator(nn.Module):
    """D_feat of CyCADA: an MLP width-width-2 on the K logits of f_T.

    Class 1 is "translated source", class 0 is "target".

    Args:
        classes: K.
        width: units of each of the two hidden layers.
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
        """Classify logits of f_T by their domain: (N, K) → (N, 2) logits."""
        domain_logits: Tensor = self.net(logits)
        return domain_logits


def _patch_net(
    channels: int, width: int, strides: Sequence[int], *, is_affine: bool, last_kernel: int
) -> nn.Sequential:
    """Return the layers of a PatchGAN.

    Args:
        strides: of the convolutions between the first and the last one.
        is_affine: whether instance norms have parameters.
        last_kernel: edge of the last convolution in px.
    """
    parts: list[nn.Module] = [
        nn.Conv2d(channels, width, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2, inplace=True),
    ]
    current = width
    for stride in strides:
        out = min(2 * current, 8 * width)
        parts += [
            nn.Conv2d(current, out, 4, stride=stride, padding=1, bias=False),
            InstanceNorm(out, affine=is_affine),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        current = out
    parts.append(nn.Conv2d(current, 1, last_kernel, padding=1))
    return nn.Sequential(*parts)
