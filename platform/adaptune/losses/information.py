"""Mutual-information maximisation on unlabelled images."""

from __future__ import annotations

import torch
from torch import Tensor


def information_loss(logits: Tensor) -> Tensor:
    """mean H(p(y|x)) − H(mean p(y|x)), in nats; to be minimised.

    Sure of each image, undecided over all of them (Krause et al. 2010; the IM loss of SHOT, Liang et
    al. 2020). It is in [−log K, 0] and leans on roughly balanced classes.

    Args:
        logits: (N, K) of unlabelled images; a batch of at least a few times K.
    """
    log_p = logits.log_softmax(dim=1)
    each = -(log_p.exp() * log_p).sum(dim=1).mean()
    mean_log_p = log_p.logsumexp(dim=0) - torch.log(
        torch.tensor(float(len(logits)), device=logits.device)
    )
    overall = -(mean_log_p.exp() * mean_log_p).sum()
    return each - overall
