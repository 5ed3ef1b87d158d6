"""The regret of each validator: what a search by it would have lost, judged by target labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan

from optuna.trial import TrialState

from adaptune.study.objective import ENSEMBLE_VALIDATORS, Objective
from adaptune.study.study import SearchStudy
from adaptune.training.metrics import judging_metric
from adaptune.training.record import ENSEMBLE, EpochRecord
from adaptune.training.validators import VALIDATORS


@dataclass(frozen=True)
class ValidatorRegret:
    """A validator compared with the metric on target_val.

    The metric is that of the search; it is the accuracy if a validator was the objective.

    Attributes:
        validator: its name.
        correlation: Spearman's rank correlation over all epochs of all trials; None if one of the
            two never changes.
        chosen_trial: trial that the validator would have chosen in this search.
        chosen_epoch: epoch that it would have chosen.
        regret: best value of the metric in this search, minus that of the validator's choice.
    """

    validator: str
    correlation: float | None
    chosen_trial: int
    chosen_epoch: int
    regret: float


@dataclass(frozen=True)
class _Epoch:
    trial: int
    record: EpochRecord
    value: float


def validator_regrets(study: SearchStudy) -> list[ValidatorRegret]:
    """Return the regret of every validator, the lowest first; none without target labels."""
    epochs = _labelled_epochs(study, judging_metric(study.metric))
    if not epochs:
        return []
    names = []
    for name in VALIDATORS:
        scores = [epoch.record.validators.get(name, nan) for epoch in epochs]
        if not any(isnan(score) for score in scores):
            names.append(name)
    if all(epoch.record.validators.keys() >= set(ENSEMBLE_VALIDATORS) for epoch in epochs):
        names.append(ENSEMBLE)
    regrets = [_regret(name, epochs) for name in names]
    return sorted(regrets, key=lambda regret: regret.regret)


def _labelled_epochs(study: SearchStudy, metric: str) -> list[_Epoch]:
    epochs = []
    for trial in study.started_trials():
        if trial.state == TrialState.FAIL:  # never exported
            continue
        for epoch in trial.epochs:
            record = epoch.record
            value = record.target_metric(metric)
            if value is not None and record.validators:
                epochs.append(_Epoch(trial.number, record, value))
    return epochs


def _regret(name: str, epochs: Sequence[_Epoch]) -> ValidatorRegret:
    objective = Objective(name)
    for epoch in epochs:
        objective.observe(epoch.trial, epoch.record)
    scores = [objective.value(epoch.record) for epoch in epochs]
    values = [epoch.value for epoch in epochs]
    candidates = list(range(len(epochs)))
    if objective.is_rank_based:  # it takes the last epoch of each trial
        last_index = {epoch.trial: index for index, epoch in enumerate(epochs)}
        candidates = list(last_index.values())
    chosen = epochs[max(candidates, key=scores.__getitem__)]
    return ValidatorRegret(
        validator=name,
        correlation=_spearman(scores, values),
        chosen_trial=chosen.trial,
        chosen_epoch=chosen.record.epoch,
        regret=max(values) - chosen.value,
    )


def _spearman(first: list[float], second: list[float]) -> float | None:
    from scipy.stats import spearmanr  # imported late: it takes a second

    if len(set(first)) < 2 or len(set(second)) < 2:
        return None
    return float(spearmanr(first, second).statistic)
