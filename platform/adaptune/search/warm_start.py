"""What earlier searches say: their trials count as seen, where the spaces overlap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from adaptune.errors import ResultsError
from adaptune.results.lifecycle import open_existing
from adaptune.search.samplers import distributions
from adaptune.search.study import best_value, metric_of
from adaptune.search.study_storage import study_of
from adaptune.spec.distributions import Value
from adaptune.spec.schema import SearchSpec, value_at
from adaptune.training.guide import ENSEMBLE


def priors(spec: SearchSpec) -> dict[str, list[FrozenTrial]]:
    """By folder of `search.warm_start`, the finished trials whose values this space has too, without their epochs.

    What the earlier search held fixed counts as a value of all its trials.

    Raises:
        ResultsError: a folder holds no study, or one that another metric guided.
    """
    space = distributions(spec.space)
    found: dict[str, list[FrozenTrial]] = {}
    for folder in spec.search.warm_start:
        place, earlier = open_existing(Path(folder).expanduser())
        study, found[folder] = study_of(place, earlier), []
        metric = metric_of(study)
        if metric != spec.search.metric or metric == ENSEMBLE:
            raise ResultsError(
                f"search.warm_start: {folder} was guided by {metric}, this search is by {spec.search.metric}:"
                " their values cannot be compared"
            )
        for trial in study.get_trials(
            deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)
        ):
            known = _values(earlier.trial(trial.params).model_dump(), space)
            drawn = {key: space[key] for key in space if spec.space[key].is_drawn(known)}
            values = {
                key: known[key] for key in drawn if key in known and _holds(drawn[key], known[key])
            }
            worth = best_value(trial, metric)
            if worth is not None and len(values) == len(drawn):
                found[folder].append(
                    optuna.trial.create_trial(params=values, distributions=drawn, value=worth)
                )
    return found


def _values(tree: Mapping[str, Any], paths: Iterable[str]) -> dict[str, Value]:
    """Of those paths that this trial has: another network has other options."""
    found = {}
    for path in paths:
        with suppress(KeyError):
            found[path] = value_at(tree, path)
    return found


def _holds(distribution: BaseDistribution, value: object) -> bool:
    try:
        return distribution._contains(distribution.to_internal_repr(value))
    except (ValueError, TypeError):
        return False
