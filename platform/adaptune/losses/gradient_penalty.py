"""The gradient penalty R1 of a discriminator (Mescheder et al. 2018, eq. 9)."""

from __future__ import annotations

import torch
from torch import Tensor


def gradient_penalty(logits: Tensor, images: Tensor) -> Tensor:
    """Compute the mean of ‖∇_x Σ D(x)‖² over images: (N, …), (N, C, H, W) → scalar.

    R1 with the weight γ of the paper is λ = γ / 2 times this number. The sum is over all logits of
    an image, and the norm over all its pixels. The result has gradients to the parameters of D.

    Args:
        logits: (N, …), D of the images; those of an image must not depend on the other images.
        images: (N, C, H, W), real images, which require a gradient.
    """
    (slopes,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return slopes.square().sum(dim=(1, 2, 3)).mean()
