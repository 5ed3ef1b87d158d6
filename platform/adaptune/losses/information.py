"""Maximisation of the mutual information between unlabelled images and their predictions."""

from __future__ import annotations

import math

from torch import Tensor

from adaptune.losses.entropy import entropy


def information_loss(logits: Tensor) -> Tensor:
    """Compute mean H(p(y|x)) − H(mean p(y|x)) in nats: (N, K) → scalar in [−log K, 0].

    The minimum is a classifier that is certain of each image and predicts all classes equally
    often (Krause et al. 2010; the IM loss of SHOT, Liang et al. 2020). The loss therefore assumes
    roughly balanced classes.

    Args:
        logits: (N, K) of unlabelled images; N should be at least a few times K.
    """
    log_p = logits.log_softmax(dim=1)
    log_mean_p = log_p.logsumexp(dim=0) - math.log(len(logits))
    return entropy(log_p).mean() - entropy(log_mean_p)
