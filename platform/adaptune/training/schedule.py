"""The learning-rate schedule of CycleGAN (Zhu et al. 2017)."""

from __future__ import annotations

from torch.optim import Optimizer


def lr_factor(progress: float, decay_from: float) -> float:
    """Return the factor of the learning rate: 1 up to `decay_from`, then linearly down to 0.

    Args:
        progress: fraction of the run that is over, in [0, 1].
        decay_from: fraction of the run after which the rate falls, in [0, 1]; 1 keeps it constant.
    """
    if progress <= decay_from:
        return 1.0
    return (1.0 - progress) / (1.0 - decay_from)


def set_lr(optimizer: Optimizer, lr: float) -> None:
    """Set the learning rate of all parameters of an optimizer."""
    for group in optimizer.param_groups:
        group["lr"] = lr
