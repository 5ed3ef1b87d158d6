"""Trials of earlier searches that the sampler learns from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import cast

import optuna
from optuna.trial import FrozenTrial, TrialState

from adaptune.errors import ResultsError
from adaptune.results.lifecycle import open_existing
from adaptune.spec.distributions import Distribution, Value
from adaptune.spec.schema import SearchSpec
from adaptune.spec.tree import value_at
from adaptune.study.parameters import distributions, encode
from adaptune.study.rank_scale import rank_scores
from adaptune.study.storage import read_study
from adaptune.study.study import WARM_START, SearchStudy
from adaptune.training.record import ENSEMBLE


def prior_trials(spec: SearchSpec) -> dict[str, list[FrozenTrial]]:
    """Return, by folder of `search.warm_start`, the finished trials whose values this space has.

    The value of each is its rank score within its search. A value of the space that the earlier
    search held fixed counts as a value of all its trials.

    Raises:
        ResultsError: a folder holds no study, or one of another metric.
    """
    trials = {}
    for folder in spec.search.warm_start:
        results, earlier_spec = open_existing(Path(folder).expanduser())
        study = read_study(earlier_spec, results.journal)
        _check_metric(study.metric, spec.search.metric, folder)
        matching = list(_matching_trials(study, earlier_spec, spec.space))
        scores = rank_scores([cast(float, trial.value) for trial in matching])
        for trial, score in zip(matching, scores, strict=True):
            trial.value = score
        trials[folder] = matching
    return trials


def describe_warm_start(study: SearchStudy) -> str | None:
    """Return which trials of earlier searches the sampler learned from, in one line."""
    counts: Mapping[str, int] = study.optuna_study.user_attrs.get(WARM_START, {})
    if not counts:
        return None
    sources = ", ".join(f"{count} trial(s) of {folder}" for folder, count in counts.items())
    return f"warm start: the sampler also learned from {sources}"


def _check_metric(earlier: str, metric: str, folder: str) -> None:
    if earlier != metric or earlier == ENSEMBLE:
        raise ResultsError(
            f"search.warm_start: {folder} maximised {earlier}, this search maximises {metric}:"
            " their values cannot be compared"
        )


def _matching_trials(
    study: SearchStudy, earlier_spec: SearchSpec, space: dict[str, Distribution]
) -> Iterator[FrozenTrial]:
    optuna_space = distributions(space)
    for trial in study.started_trials():
        if trial.state not in (TrialState.COMPLETE, TrialState.PRUNED):
            continue
        best_value = trial.best_value
        values = _values(earlier_spec, trial.values, space)
        if values is not None and best_value is not None:
            yield optuna.trial.create_trial(
                params=encode(space, values),
                distributions={path: optuna_space[path] for path in values},
                value=best_value,
            )


def _values(
    earlier_spec: SearchSpec, sampled: dict[str, Value], space: dict[str, Distribution]
) -> dict[str, Value] | None:
    """Return the values that this space would have drawn, or None if it cannot draw them."""
    tree = earlier_spec.trial(sampled).model_dump()
    known = {}
    for path in space:
        with suppress(KeyError):  # another network has other options
            known[path] = value_at(tree, path)
    values = {}
    for path, distribution in space.items():
        if not distribution.is_drawn(known):
            continue
        if path not in known or not distribution.contains(known[path]):
            return None
        values[path] = known[path]
    return values
