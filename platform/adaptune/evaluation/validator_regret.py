"""How each validator would have done as the guide, which only target labels can tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import optuna
from optuna.trial import TrialState

from adaptune.search import study as studies
from adaptune.search.objective import Objective
from adaptune.training.guide import ENSEMBLE, TARGET_VAL
from adaptune.training.validators import VALIDATORS


@dataclass(frozen=True)
class ValidatorRegret:
    """A validator against target_val accuracy.

    Attributes:
        correlation: Spearman's, over all epochs of all trials; None where one of the two never changes.
        chosen_trial: what it would have chosen among the epochs of this search.
        regret: the best target_val accuracy of this search, less that of its choice.
    """

    validator: str
    correlation: float | None
    chosen_trial: int
    chosen_epoch: int
    regret: float


def validator_regrets(study: optuna.Study) -> list[ValidatorRegret]:
    """Of every validator, the least regret first; empty without epochs or without labels to tell by."""
    epochs = [
        (trial.number, record)
        for trial in studies.started(study)
        if trial.state != TrialState.FAIL  # which is never exported
        for record in studies.records(trial)
        if record.get(TARGET_VAL) is not None and f"validator/{next(iter(VALIDATORS))}" in record
    ]
    if not epochs:
        return []
    computed = [
        name
        for name in VALIDATORS
        if not any(isnan(record[f"validator/{name}"]) for _, record in epochs)
    ]
    found = [_judge(name, epochs) for name in (*computed, ENSEMBLE)]
    return sorted(found, key=lambda one: one.regret)


def _judge(name: str, epochs: Sequence[tuple[int, Mapping[str, Any]]]) -> ValidatorRegret:
    guide = Objective(name)
    for number, record in epochs:
        guide.note(number, record)
    values = [guide.value(record) for _, record in epochs]
    accuracies = [record[TARGET_VAL] for _, record in epochs]
    candidates = list(range(len(epochs)))
    if guide.is_rank_based:  # within a trial the last epoch stands
        last = {number: index for index, (number, _) in enumerate(epochs)}
        candidates = list(last.values())
    number, chosen = epochs[max(candidates, key=values.__getitem__)]
    regret = max(accuracies) - chosen[TARGET_VAL]
    return ValidatorRegret(name, _spearman(values, accuracies), number, chosen["epoch"], regret)


def _spearman(first: list[float], second: list[float]) -> float | None:
    from scipy.stats import spearmanr  # imported late: it takes a second

    if len(set(first)) < 2 or len(set(second)) < 2:
        return None
    return float(spearmanr(first, second).statistic)
