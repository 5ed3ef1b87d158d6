"""The entropy of class probabilities."""

from __future__ import annotations

from torch import Tensor


def entropy(log_p: Tensor) -> Tensor:
    """Compute H(p) in nats, in [0, log K]: (…, K) → (…).

    Args:
        log_p: finite logarithms of class probabilities, as from `log_softmax`.
    """
    return -(log_p.exp() * log_p).sum(dim=-1)
