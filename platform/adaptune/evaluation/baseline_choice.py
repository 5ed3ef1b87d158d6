"""The choice of each baseline's setting and epoch, by the objective of the search."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from adaptune.evaluation.test_scores import SelectedBaseline
from adaptune.spec.baselines import WITHOUT_GAN, BaselineSetting
from adaptune.spec.schema import TrialSpec
from adaptune.study.objective import Objective
from adaptune.training.baselines import Candidate
from adaptune.training.record import EpochRecord
from adaptune.training.state import StateDict

F_S = "f_S itself"
LABELS = "labels of target_train"

_Key = Callable[[EpochRecord], tuple[float, ...]]


@dataclass(frozen=True)
class SettingResult:
    """A setting of a baseline, and its best epoch.

    Attributes:
        setting: the setting.
        candidate: its best epoch; None if its training failed.
        epochs: number of epochs that it was trained.
    """

    setting: BaselineSetting
    candidate: Candidate | None
    epochs: int


@dataclass(frozen=True)
class Baselines:
    """The models that a search is compared with.

    Attributes:
        weights: weights by key: `source_only`, if it differs from f_S by its training or its
            batch norm statistics, the items of `WITHOUT_GAN`, and `target_supervised`; without
            those not trained.
        selected: the choice for each trained baseline.
        best: the best baseline without a GAN by the objective; None without any.
        objectives: the objective of source only and of each baseline without a GAN.
    """

    weights: Mapping[str, StateDict] = field(default_factory=dict)
    selected: Mapping[str, SelectedBaseline] = field(default_factory=dict)
    best: str | None = None
    objectives: Mapping[str, float] = field(default_factory=dict)


def best_settings(
    results: Sequence[SettingResult], metric: str, count: int
) -> list[BaselineSetting]:
    """Return the settings with the best epochs by the objective, in their order.

    Args:
        results: the settings.
        metric: the metric of the search.
        count: number of settings, at most.
    """
    key = _comparison(metric, [result.candidate for result in results])
    keys = {}
    for number, result in enumerate(results):
        if result.candidate is not None:
            keys[number] = key(result.candidate.record)
    best = sorted(keys, key=keys.__getitem__, reverse=True)[:count]
    return [results[number].setting for number in sorted(best)]


def choose_baselines(
    spec: TrialSpec,
    f_s: Candidate,
    results: Sequence[SettingResult],
    upper_bound: Candidate | None,
    metric: str,
    source_only: Candidate | None = None,
) -> Baselines:
    """Choose the best setting and epoch of each baseline; f_S is a candidate of each.

    Args:
        spec: settings of the training.
        f_s: f_S, epoch 0 of every setting.
        results: the best epoch of each setting.
        upper_bound: the target-supervised classifier, if it was trained.
        metric: the metric of the search.
        source_only: the source classifier without adaptation, if it is not f_S as stored.
    """
    key = _comparison(metric, [f_s, *(result.candidate for result in results)])
    weights = {} if source_only is None else {"source_only": source_only.weights}
    selected = {}
    keys: dict[str, tuple[float, ...]] = {}
    for baseline in WITHOUT_GAN:
        settings = [result for result in results if result.setting.baseline == baseline]
        if settings:
            setting, candidate = _best(f_s, settings, key)
            weights[baseline] = candidate.weights
            epoch = candidate.record.epoch
            epochs = sum(result.epochs for result in settings)
            updates = epochs * spec.training.steps_per_epoch
            selected[baseline] = SelectedBaseline(setting, epoch, updates)
            keys[baseline] = key(candidate.record)
    if upper_bound is not None:
        weights["target_supervised"] = upper_bound.weights
        selected["target_supervised"] = SelectedBaseline(
            LABELS, upper_bound.record.epoch, spec.training.source.steps
        )
    best = max(keys, key=keys.__getitem__, default=None)
    objectives = {"source_only": key((source_only or f_s).record)[0]}
    objectives |= {baseline: values[0] for baseline, values in keys.items()}
    return Baselines(weights, selected, best, objectives)


def _best(f_s: Candidate, results: Sequence[SettingResult], key: _Key) -> tuple[str, Candidate]:
    """Return the best of f_S and some settings, in words and as a candidate."""
    best = F_S, f_s
    for result in results:
        candidate = result.candidate
        if candidate is not None and key(candidate.record) > key(best[1].record):
            best = str(result.setting), candidate
    return best


def _comparison(metric: str, candidates: Sequence[Candidate | None]) -> _Key:
    """Return the key by which records are compared, as the study compares the best epochs."""
    objective = Objective(metric)
    for number, candidate in enumerate(candidates):
        if candidate is not None:
            objective.observe(number, candidate.record)

    def key(record: EpochRecord) -> tuple[float, ...]:
        value = objective.value(record)
        if math.isnan(value):
            value = -math.inf
        return value, *record.rank_key(metric)

    return key
