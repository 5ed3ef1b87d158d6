"""Ray's schedulers with the options of a spec."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    MedianStoppingRule,
    TrialScheduler,
)

from adaptune.search.protocol import EPOCH, OBJECTIVE
from adaptune.spec.algorithms import Asha, CurveStopping, Hyperband, Median, NoScheduler, Scheduler

_TUNE_OPTIONS = {"time_attr": EPOCH, "metric": OBJECTIVE, "mode": "max"}


@dataclass(frozen=True, eq=False)
class RankedTrial:
    """A trial of a group, as Ray's schedulers see it.

    Attributes:
        trial_id: an identifier.
        number: number of the trial in the study.
    """

    trial_id: str
    number: int


class BracketedScheduler(FIFOScheduler):  # type: ignore[misc]
    """Asynchronous Hyperband: one ASHA per bracket, which trials join in turn by their numbers.

    Ray's own draws the bracket from NumPy's global generator.
    """

    def __init__(self, options: Hyperband, epochs: int) -> None:
        super().__init__()
        self._brackets = []
        for bracket in range(options.brackets):
            grace_epochs = min(options.grace_epochs, epochs) * options.reduction_factor**bracket
            self._brackets.append(_asha(grace_epochs, options.reduction_factor, epochs))

    def on_trial_add(self, tune_controller: object, trial: RankedTrial) -> None:
        """Add a trial to its bracket."""
        self._bracket(trial).on_trial_add(tune_controller, trial)

    def on_trial_result(
        self, tune_controller: object, trial: RankedTrial, result: dict[str, object]
    ) -> str:
        """Return the decision of the trial's bracket."""
        return str(self._bracket(trial).on_trial_result(tune_controller, trial, result))

    def on_trial_complete(
        self, tune_controller: object, trial: RankedTrial, result: dict[str, object]
    ) -> None:
        """End a trial in its bracket."""
        self._bracket(trial).on_trial_complete(tune_controller, trial, result)

    def on_trial_remove(self, tune_controller: object, trial: RankedTrial) -> None:
        """Remove a trial from its bracket."""
        self._bracket(trial).on_trial_remove(tune_controller, trial)

    def _bracket(self, trial: RankedTrial) -> TrialScheduler:
        return self._brackets[trial.number % len(self._brackets)]


def make_scheduler(options: Scheduler, epochs: int) -> TrialScheduler:
    """Return Ray's scheduler with these options, without any past.

    Args:
        epochs: number of epochs of a trial that is not stopped.
    """
    match options:
        case Asha() | CurveStopping():
            return _asha(min(options.grace_epochs, epochs), options.reduction_factor, epochs)
        case Hyperband():
            return BracketedScheduler(options, epochs)
        case Median(grace_epochs=grace_epochs, min_trials=min_trials):
            return MedianStoppingRule(
                **_TUNE_OPTIONS,
                grace_period=grace_epochs,
                min_samples_required=min_trials,
                # Otherwise a trial would yield to waiting ones until there are enough to compare.
                min_time_slice=math.inf,
            )
        case NoScheduler():
            return FIFOScheduler()


def _asha(grace_epochs: float, factor: float, epochs: int) -> TrialScheduler:
    if grace_epochs > epochs:  # a bracket without a rung
        return FIFOScheduler()
    return AsyncHyperBandScheduler(
        **_TUNE_OPTIONS, max_t=epochs, grace_period=grace_epochs, reduction_factor=factor
    )
