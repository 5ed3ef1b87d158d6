"""The cross-entropy losses of CyCADA (Hoffman et al. 2018)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)


def task_loss(logits: Tensor, labels: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Compute the mean K-way cross-entropy (eq. 1): (N, K), (N,) → scalar.

    Args:
        logits: (N, K) of f_S or f_T.
        labels: int64 (N,), in [0, K).
        label_smoothing: part of each label that is spread evenly over all classes, in [0, 1).
    """
    return F.cross_entropy(logits, labels, label_smoothing=label_smoothing)


def semantic_loss(source_classifier_logits: Tensor, labels: Tensor) -> Tensor:
    """Penalise a translation that changes the prediction of f_S: (N, K), (N,) → scalar.

    This is one direction of eq. 4.

    Args:
        source_classifier_logits: (N, K), f_S of the translated images.
        labels: int64 (N,), argmax f_S of the images before translation; or the true source labels
            as in the released code, from source to target.
    """
    return F.cross_entropy(source_classifier_logits, labels)
