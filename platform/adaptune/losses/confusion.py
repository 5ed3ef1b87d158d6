"""Minimum class confusion of unlabelled images (MCC, Jin et al. 2020)."""

from __future__ import annotations

import torch
from torch import Tensor

from adaptune.losses.entropy import entropy


def confusion_loss(logits: Tensor, temperature: float) -> Tensor:
    """Compute the class confusion of MCC: (N, K) → scalar in [0, 1 − 1 / K].

    The correlation of two classes is Σ w p(k) p(k') over the images. With each row normalised to 1,
    the loss is the mean over classes of a row's sum outside the diagonal (eq. 2 to 6). The weight w
    of an image is 1 + exp(−H(p)), divided by its mean: certain images count more. No gradient flows
    through the weights. In contrast to `information_loss`, classes need not be equally frequent.

    Args:
        logits: (N, K) of unlabelled images; N should be at least a few times K.
        temperature: divisor of the logits, above 0.
    """
    # bfloat16 would round sums over the batch.
    precise = logits.to(torch.promote_types(logits.dtype, torch.float32))
    log_p = (precise / temperature).log_softmax(dim=1)
    # A row of the normalised correlations is a mean of p over the images, and its weights are
    # proportional to w p(k). Logarithms keep that exact for a class that is hardly predicted.
    shares = (_image_weights(log_p).log()[:, None] + log_p).softmax(dim=0)
    diagonal = (shares * log_p.exp()).sum(dim=0)
    return 1 - diagonal.mean()


@torch.no_grad()
def _image_weights(log_p: Tensor) -> Tensor:
    """Return the weight of each image, of mean 1: (N, K) → (N,)."""
    weights = 1 + (-entropy(log_p)).exp()
    return weights / weights.mean()
