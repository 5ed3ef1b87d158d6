"""Epochs at which a scheduler decides whether a trial continues."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, floor

from adaptune.spec.algorithms import Asha, CurveStopping, Hyperband, NoScheduler, Scheduler
from adaptune.spec.diagnostics import Diagnostics
from adaptune.spec.distributions import Distribution
from adaptune.spec.schema import SearchSpec

_CLASSIFIER_FROM = "training.classifier_from"


def rungs(scheduler: Scheduler, epochs: int) -> list[int]:
    """Return the rungs of ASHA or of Hyperband's first bracket; none for other schedulers.

    Those of `curves` are the rungs of ASHA, which decides until there is a model.

    Args:
        epochs: number of epochs of a trial that is not stopped.
    """
    if not isinstance(scheduler, Asha | CurveStopping | Hyperband):
        return []
    rung_epochs = []
    epoch = float(scheduler.grace_epochs)
    while epoch < epochs:
        rung_epochs.append(ceil(epoch))
        epoch *= scheduler.reduction_factor
    return rung_epochs


def check_classifier_start(
    spec: SearchSpec, space: Mapping[str, Distribution], diagnostics: Diagnostics
) -> None:
    """Refuse a scheduler that may stop a trial before its f_T is trained.

    Until then, all trials have the same f_T, so that a comparison says nothing about them.

    Args:
        spec: the search, with a value in place of each distribution.
        space: distributions by dotted path.
    """
    scheduler = spec.search.scheduler
    if isinstance(scheduler, NoScheduler):
        return
    training = dict(spec.training)
    epochs = training["epochs"]
    latest = training["classifier_from"]
    if _CLASSIFIER_FROM in space:
        bounds = space[_CLASSIFIER_FROM].bounds()
        latest = max((value for value in bounds if isinstance(value, int | float)), default=0)
    start = latest * epochs
    if 0 < latest < 1 and scheduler.grace_epochs <= start:
        diagnostics.add(
            tuple(_CLASSIFIER_FROM.split(".")),
            f"{_CLASSIFIER_FROM} = {latest:g}: f_T is trained after {start:g} of {epochs} epochs,"
            f" and scheduler {scheduler.name} may stop trials after {scheduler.grace_epochs}: set"
            f" search.scheduler.grace_epochs to {floor(start) + 1} or more, or take scheduler none",
        )
