"""Learning-rate schedules."""

from __future__ import annotations

from torch.optim import Optimizer

LR_FACTOR = "lr_factor"  # key of a parameter group that learns with another rate


def lr_factor(progress: float, decay_from: float) -> float:
    """Return the factor of the learning rate: 1 up to `decay_from`, then linearly down to 0.

    This is the schedule of CycleGAN (Zhu et al. 2017).

    Args:
        progress: fraction of the run that is over, in [0, 1].
        decay_from: fraction of the run after which the rate falls, in [0, 1]; 1 keeps it constant.
    """
    if progress <= decay_from:
        return 1.0
    return (1.0 - progress) / (1.0 - decay_from)


def inverse_lr_factor(progress: float) -> float:
    """Return the factor of the learning rate (1 + 10 p)^-0.75, from 1 down to 0.17.

    This is the schedule of TLLib (Jiang et al. 2022) and SHOT (Liang et al. 2020).

    Args:
        progress: p, the fraction of the run that is over, in [0, 1].
    """
    return float((1.0 + 10.0 * progress) ** -0.75)


def set_lr(optimizer: Optimizer, lr: float) -> None:
    """Set the learning rate of all parameters of an optimizer, times the factor of their group."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get(LR_FACTOR, 1.0)
