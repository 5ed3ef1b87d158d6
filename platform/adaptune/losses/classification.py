"""The cross-entropy losses of CyCADA (Hoffman et al. 2018)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)


def task_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """K-way cross-entropy of (N, K) logits and (N,) labels (eq. 1)."""
    return F.cross_entropy(logits, labels)


def semantic_loss(source_classifier_logits: Tensor, labels: Tensor) -> Tensor:
    """Translation should keep what the fixed f_S saw (eq. 4, one direction).

    Args:
        source_classifier_logits: f_S of the translated images, (N, K).
        labels: argmax f_S of the images before translation, (N,); or the true source labels,
            as the released code has it for source to target.
    """
    return F.cross_entropy(source_classifier_logits, labels)
