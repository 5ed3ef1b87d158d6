"""The L1 losses of CycleGAN (Zhu et al. 2017)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)


def cycle_loss(images: Tensor, reconstructed: Tensor) -> Tensor:
    """Compute mean |G_ts(G_st(x)) − x|: (N, C, H, W), (N, C, H, W) → scalar.

    This is one direction of eq. 2; in the other one, G_ts comes first.

    Args:
        images: x in [-1, 1].
        reconstructed: x translated to the other domain and back, in [-1, 1].
    """
    return F.l1_loss(reconstructed, images)


def identity_loss(images: Tensor, translated: Tensor) -> Tensor:
    """Compute mean |G(y) − y|: (N, C, H, W), (N, C, H, W) → scalar (section 5.2).

    Args:
        images: y in [-1, 1], images that are in the output domain of G already.
        translated: G(y) in [-1, 1].
    """
    return F.l1_loss(translated, images)
