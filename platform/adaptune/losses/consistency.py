"""Consistency with a teacher's confident predictions (FixMatch, Sohn et al. 2020)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)


def confident_labels(teacher_logits: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Return the teacher's classes and where it is sure of them: (N, K) → int64 (N,), bool (N,).

    Args:
        teacher_logits: (N, K) of weak views.
        threshold: smallest probability of the most likely class of which the teacher is sure.
    """
    confidence, labels = teacher_logits.softmax(dim=1).max(dim=1)
    return labels, confidence >= threshold


def consistency_loss(logits: Tensor, labels: Tensor, is_confident: Tensor) -> Tensor:
    """Compute the cross-entropy of images with confident labels: (N, K), (N,), (N,) → scalar.

    It is the sum over these images, divided by the number of all images (eq. 4).

    Args:
        logits: (N, K) of strong views.
        labels: int64 (N,), see `confident_labels`.
        is_confident: bool (N,), see `confident_labels`.
    """
    losses = F.cross_entropy(logits, labels, reduction="none")
    return (is_confident * losses).mean()
