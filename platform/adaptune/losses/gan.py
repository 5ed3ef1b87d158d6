"""Adversarial losses between a discriminator's logits and the labels real = 1, fake = 0."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

Kind = Literal["lsgan", "log"]


def adversarial_loss(fake_logits: Tensor, kind: Kind) -> Tensor:
    """The generator's term: translated images should be called real.

    lsgan: (D(G(x)) − 1)² (Mao et al. 2017, as CycleGAN uses it); log: −log σ(D(G(x))), the
    non-saturating form of Goodfellow et al. 2014. Logits of any shape → a scalar mean.
    """
    return _distance(fake_logits, 1.0, kind)


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor, kind: Kind) -> Tensor:
    """½ (loss on real + loss on fake): the halving is CycleGAN's, it slows D down against G."""
    return 0.5 * (_distance(real_logits, 1.0, kind) + _distance(fake_logits, 0.0, kind))


def _distance(logits: Tensor, label: float, kind: Kind) -> Tensor:
    labels = torch.full_like(logits, label)
    if kind == "lsgan":
        return F.mse_loss(logits, labels)
    return F.binary_cross_entropy_with_logits(logits, labels)
