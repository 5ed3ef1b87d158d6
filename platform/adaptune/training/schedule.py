"""The learning-rate schedule."""

from __future__ import annotations

from torch.optim import Optimizer


def lr_factor(progress: float, decay_from: float) -> float:
    """1 until the part `decay_from` of the run, then linearly down to 0 at its end (Zhu et al. 2017).

    Both arguments are in [0, 1].
    """
    if progress <= decay_from:
        return 1.0
    return (1.0 - progress) / (1.0 - decay_from)


def warmed_up(decay: float, step: int) -> float:
    """The decay of a moving average after `step` updates: a short memory at first, lest the initial weights linger."""
    return min(decay, (1 + step) / (10 + step))


def set_lr(optimizer: Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr
