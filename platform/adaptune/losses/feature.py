"""CyCADA's feature-level adversarial losses, by label flip as in ADDA (Tzeng et al. 2017).

D_feat gives (N, 2) logits: class 1 is "translated source", class 0 "target".
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)


def feature_discriminator_loss(source_logits: Tensor, target_logits: Tensor) -> Tensor:
    """Cross-entropy of D_feat over both domains. (N, 2), (M, 2) → a scalar."""
    return F.cross_entropy(
        torch.cat([source_logits, target_logits]), _domains(source_logits, target_logits)
    )


def feature_loss(target_logits: Tensor) -> Tensor:
    """f_T's term: D_feat should take target features for source ones (L_GAN(f_T, D_feat, …))."""
    return F.cross_entropy(target_logits, torch.ones_like(target_logits[:, 0], dtype=torch.long))


def domain_accuracy(source_logits: Tensor, target_logits: Tensor) -> Tensor:
    """The part of the batch that D_feat puts in the right domain, a scalar in [0, 1]."""
    guesses = torch.cat([source_logits, target_logits]).argmax(dim=1)
    return (guesses == _domains(source_logits, target_logits)).float().mean()


def _domains(source: Tensor, target: Tensor) -> Tensor:
    return torch.cat([torch.ones_like(source[:, 0]), torch.zeros_like(target[:, 0])]).long()
