"""What earlier searches say: their trials count as seen, where the spaces overlap."""

from __future__ import annotations

from pathlib import Path

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from adaptune.errors import ResultsError
from adaptune.search.claim import reopen
from adaptune.search.samplers import distributions
from adaptune.search.storage import study_of
from adaptune.search.study import guided_by, worth_of
from adaptune.spec.schema import SearchSpec
from adaptune.training.guide import ENSEMBLE


def priors(spec: SearchSpec) -> list[FrozenTrial]:
    """The finished trials of the studies in `search.warm_start` whose values this space has too, without their epochs.

    Raises:
        ResultsError: a folder holds no study, or one that another metric guided.
    """
    space = distributions(spec.space)
    found = []
    for folder in spec.search.warm_start:
        study = study_of(*reopen(Path(folder).expanduser()))
        metric = guided_by(study)
        if metric != spec.search.metric or metric == ENSEMBLE:
            raise ResultsError(
                f"search.warm_start: {folder} was guided by {metric}, this search is by {spec.search.metric}:"
                " their values cannot be compared"
            )
        for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)):
            drawn = {key: space[key] for key in space if spec.space[key].is_drawn(trial.params)}
            values = {key: trial.params[key] for key in drawn if _holds(drawn[key], trial.params.get(key))}
            worth = worth_of(trial, metric)
            if worth is not None and len(values) == len(drawn):
                found.append(optuna.trial.create_trial(params=values, distributions=drawn, value=worth))
    return found


def _holds(distribution: BaseDistribution, value: object) -> bool:
    try:
        return distribution._contains(distribution.to_internal_repr(value))
    except (ValueError, TypeError):
        return False
