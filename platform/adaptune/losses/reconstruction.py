"""The L1 losses of CycleGAN (Zhu et al. 2017): images (N, C, H, W) → a scalar, the mean over all pixels."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)


def cycle_loss(images: Tensor, reconstructed: Tensor) -> Tensor:
    """‖G_back(G_there(x)) − x‖₁ of one direction (eq. 2)."""
    return F.l1_loss(reconstructed, images)


def identity_loss(images: Tensor, translated: Tensor) -> Tensor:
    """‖G(y) − y‖₁ for images y that are in G's output domain already (section 5.2)."""
    return F.l1_loss(translated, images)
