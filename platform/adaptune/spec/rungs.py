"""Epochs at which a scheduler decides whether a trial continues."""

from __future__ import annotations

from math import ceil

from adaptune.spec.algorithms import Asha, Hyperband, Scheduler


def rungs(scheduler: Scheduler, epochs: int) -> list[int]:
    """Return the rungs of ASHA or of Hyperband's first bracket; none for other schedulers.

    Args:
        epochs: number of epochs of a trial that is not stopped.
    """
    if not isinstance(scheduler, Asha | Hyperband):
        return []
    rung_epochs = []
    epoch = float(scheduler.grace_epochs)
    while epoch < epochs:
        rung_epochs.append(ceil(epoch))
        epoch *= scheduler.reduction_factor
    return rung_epochs
