"""Adversarial losses of a discriminator's logits."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

Kind = Literal["lsgan", "log", "hinge"]


def adversarial_loss(fake_logits: Tensor, kind: Kind) -> Tensor:
    """Penalise the generator if D recognises its images as fake: any shape (…) → scalar mean.

    Args:
        fake_logits: (…), D of translated images; (N, 1, H', W') of a PatchGAN.
        kind: "lsgan" is (D(G(x)) − 1)² (Mao et al. 2017, as in CycleGAN); "log" is
            −log σ(D(G(x))), the non-saturating form of Goodfellow et al. 2014; "hinge" is −D(G(x))
            (Lim and Ye 2017), which can be negative.
    """
    if kind == "hinge":
        return -fake_logits.mean()
    return _distance(fake_logits, kind, is_real=True)


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor, kind: Kind) -> Tensor:
    """Compute ½ (loss on real + loss on fake): any shapes (…), (…) → scalar.

    As in CycleGAN, the factor ½ slows down D relative to G.

    Args:
        real_logits: (…), D of real images.
        fake_logits: (…), D of translated images.
        kind: "lsgan" or "log", as in `adversarial_loss`, or "hinge", which is max(0, 1 − D) on real
            and max(0, 1 + D) on translated images.
    """
    real_loss = _distance(real_logits, kind, is_real=True)
    fake_loss = _distance(fake_logits, kind, is_real=False)
    return 0.5 * (real_loss + fake_loss)


def _distance(logits: Tensor, kind: Kind, *, is_real: bool) -> Tensor:
    """Compute the mean distance of logits from one label: any shape (…) → scalar.

    The labels are real = 1 and fake = 0; those of the hinge loss are 1 and −1.
    """
    if kind == "hinge":
        margins = logits if is_real else -logits
        return F.relu(1 - margins).mean()
    labels = torch.full_like(logits, float(is_real))
    if kind == "lsgan":
        return F.mse_loss(logits, labels)
    return F.binary_cross_entropy_with_logits(logits, labels)
