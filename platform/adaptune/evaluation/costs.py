"""Device seconds of a search: what its trials took, and what early stopping saved.

A device is a worker's CPUs or GPU: device seconds are seconds times workers.
"""

from __future__ import annotations

from dataclasses import dataclass

from optuna.trial import TrialState

from adaptune.study.study import SearchStudy
from adaptune.study.trial import StudyTrial


@dataclass(frozen=True)
class SearchCosts:
    """Device seconds of a search.

    Attributes:
        running: training and evaluation of trials that have not ended.
        complete: training and evaluation of trials that trained all epochs.
        pruned: training and evaluation of trials that were stopped early.
        failed: everything that failed trials took.
        overhead: workers held without training or evaluation, as far as known.
        saved_by_stopping: estimate of what stopped trials would still have taken at their own pace.
        to_99_percent_of_best: trial after trial, until an epoch reached 99% of the best objective;
            None without an epoch.
    """

    running: float
    complete: float
    pruned: float
    failed: float
    overhead: float
    saved_by_stopping: float
    to_99_percent_of_best: float | None


def search_costs(study: SearchStudy, *, epochs: int, workers: int) -> SearchCosts:
    """Return the costs of a search.

    Args:
        epochs: number of epochs of a trial that is not stopped.
        workers: number of workers of a trial that does not record its own.
    """
    trials = study.started_trials()
    return SearchCosts(
        running=device_s(trials, TrialState.RUNNING, workers),
        complete=device_s(trials, TrialState.COMPLETE, workers),
        pruned=device_s(trials, TrialState.PRUNED, workers),
        failed=device_s(trials, TrialState.FAIL, workers),
        overhead=overhead_device_s(trials, workers),
        saved_by_stopping=device_s_saved(trials, epochs, workers),
        to_99_percent_of_best=device_s_to_reach(trials, 0.99, workers),
    )


def device_s(trials: list[StudyTrial], state: TrialState, workers: int) -> float:
    """Return the device seconds of the trials with this state."""
    spent_s = 0.0
    for trial in trials:
        if trial.state == state:
            spent_s += _spent_s(trial) * _workers(trial, workers)
    return spent_s


def overhead_device_s(trials: list[StudyTrial], workers: int) -> float:
    """Return the device seconds for which trials held workers without training or evaluation.

    The last epoch of a failed trial counts as training.
    """
    overhead_s = 0.0
    for trial in trials:
        if trial.wall_s is not None:
            overhead_s += max(0.0, trial.wall_s - _spent_s(trial)) * _workers(trial, workers)
    return overhead_s


def device_s_saved(trials: list[StudyTrial], epochs: int, workers: int) -> float:
    """Estimate the device seconds that stopped trials would still have taken at their own pace."""
    saved_s = 0.0
    for trial in trials:
        trained = len(trial.epochs)
        if trial.state == TrialState.PRUNED and trained:
            epoch_s = trial.active_s / trained * _workers(trial, workers)
            saved_s += epoch_s * (epochs - trained)
    return saved_s


def device_s_to_reach(trials: list[StudyTrial], fraction: float, workers: int) -> float | None:
    """Return the device seconds, trial after trial, until an epoch came near the best objective.

    Args:
        fraction: of the best objective, in [0, 1].
    """
    objectives = []
    for trial in trials:
        objectives += list(trial.curve.values())
    if not objectives:
        return None
    best = max(objectives)
    goal = best - (1 - fraction) * abs(best)
    spent_s = 0.0
    for trial in trials:
        for epoch in trial.epochs:
            spent_s += epoch.record.active_s * _workers(trial, workers)
            if epoch.objective >= goal:
                return spent_s
    return None


def _workers(trial: StudyTrial, default: int) -> int:
    """Return the workers that a trial ran on; a resumed search may have others now."""
    return default if trial.placement is None else trial.placement.workers


def _spent_s(trial: StudyTrial) -> float:
    """Return the seconds of training and evaluation; of a failed trial, all that are known.

    The epoch in which a trial failed has no record, but took its time.
    """
    if trial.state == TrialState.FAIL and trial.wall_s is not None:
        return trial.wall_s
    return trial.active_s
