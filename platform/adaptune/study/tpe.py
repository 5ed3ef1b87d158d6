"""Optuna's TPE, which also learns where trials fail."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import cast

from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

# TPE calls a tenth of all trials good. With more failures than this per result, some of the
# failures would be among them.
_FAILURES_PER_RESULT = 9


class FailureAwareTPESampler(TPESampler):
    """TPE to which a failed trial is one that was stopped before its first epoch: the worst.

    Optuna's leaves failed trials out, and proposes values like theirs again. Their state in the
    study stays FAIL, and they do not count as startup trials.
    """

    def _sample(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, object]:
        view = cast(Study, _StudyWithFailures(study))
        return super()._sample(view, trial, search_space)


class _StudyWithFailures:
    """A view of a study in which failed trials are pruned ones without any epoch."""

    def __init__(self, study: Study) -> None:
        self._study = study

    def __getattr__(self, name: str) -> object:
        return getattr(self._study, name)

    def _get_trials(
        self, deepcopy: bool, states: Collection[TrialState], use_cache: bool
    ) -> list[FrozenTrial]:
        trials = self._study._get_trials(
            deepcopy=deepcopy, states=(*states, TrialState.FAIL), use_cache=use_cache
        )
        results = sum(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in trials)
        failures = [trial for trial in trials if trial.state == TrialState.FAIL]
        first = max(len(failures) - _FAILURES_PER_RESULT * results, 0)
        known_failures = {trial.number for trial in failures[first:]}
        seen = []
        for trial in trials:
            if trial.number in known_failures:
                seen.append(_as_worst(trial))
            elif trial.state != TrialState.FAIL:
                seen.append(trial)
        return seen


def _as_worst(trial: FrozenTrial) -> FrozenTrial:
    worst = copy.copy(trial)
    worst.state = TrialState.PRUNED
    worst.intermediate_values = {}
    return worst
