"""CyCADA's adversarial losses at feature level, with flipped labels as in ADDA (Tzeng et al. 2017).

D_feat returns (N, 2) logits: class 1 is "translated source", class 0 is "target".
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)


def feature_discriminator_loss(source_logits: Tensor, target_logits: Tensor) -> Tensor:
    """Compute the mean cross-entropy of D_feat over both domains: (N, 2), (M, 2) → scalar."""
    logits = torch.cat([source_logits, target_logits])
    return F.cross_entropy(logits, _domain_labels(source_logits, target_logits))


def feature_loss(target_logits: Tensor) -> Tensor:
    """Penalise f_T if D_feat recognises its target features: (M, 2) → scalar.

    This is L_GAN(f_T, D_feat, …) with flipped labels: the mean of −log p(translated source).
    """
    source_label = torch.ones_like(target_logits[:, 0], dtype=torch.long)
    return F.cross_entropy(target_logits, source_label)


def domain_accuracy(source_logits: Tensor, target_logits: Tensor) -> Tensor:
    """Compute the accuracy of D_feat in [0, 1]: (N, 2), (M, 2) → scalar."""
    predictions = torch.cat([source_logits, target_logits]).argmax(dim=1)
    return (predictions == _domain_labels(source_logits, target_logits)).float().mean()


def _domain_labels(source_logits: Tensor, target_logits: Tensor) -> Tensor:
    """Return 1 per source row and 0 per target row: (N, 2), (M, 2) → int64 (N + M,)."""
    count = len(source_logits) + len(target_logits)
    places = torch.arange(count, device=source_logits.device)
    return (places < len(source_logits)).long()
