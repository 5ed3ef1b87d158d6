"""The numbers of trials of a finished search."""

from __future__ import annotations

from collections import Counter

from optuna.trial import TrialState

from adaptune.study.study import SearchStudy


def trial_figures(study: SearchStudy) -> dict[str, object]:
    """Return the numbers of trials, and how the search ended early, by key of the summary."""
    trials = study.started_trials()
    states = Counter(trial.state for trial in trials)
    kinds = []
    for trial in trials:
        if trial.unhealthy is not None:
            kinds.append(trial.unhealthy.partition(":")[0])
    return {
        "trials_total": len(trials),
        "trials_complete": states[TrialState.COMPLETE],
        "trials_pruned": states[TrialState.PRUNED],
        "trials_failed": states[TrialState.FAIL],
        "trials_unhealthy": dict(Counter(kinds)),
        "early_end": study.early_end.describe(),
    }
