"""Ray's schedulers, on epochs and on what guides the search, with a past that the study remembers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import TrialState
from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    MedianStoppingRule,
    TrialScheduler,
)

from adaptune.search import study as studies
from adaptune.search.objective import Objective
from adaptune.search.study import OBJECTIVE
from adaptune.spec.algorithms import Asha, Hyperband, Median, NoScheduler
from adaptune.spec.schema import SearchSpec


@dataclass(frozen=True, eq=False)
class _PastTrial:
    trial_id: str
    config: Mapping[str, Any]


class StudyScheduler(FIFOScheduler):  # type: ignore[misc]  # Ray is untyped
    """One of Ray's schedulers, told first of all epochs that the study holds."""

    def __init__(self, spec: SearchSpec, study: optuna.Study, guide: Objective) -> None:
        super().__init__()
        self._inner = make_scheduler(spec)
        self._guide = guide
        self._records: dict[str, dict[int, Mapping[str, Any]]] = {}  # by Tune's id and epoch
        self._unfinished: dict[int, list[dict[str, Any]]] = {}
        self._held: dict[
            str, list[dict[str, Any]]
        ] = {}  # epochs of trials that have not spoken again yet
        for past in studies.started(study):
            for record in studies.records(past):
                guide.note(past.number, record)
        for past in studies.started(study):
            if past.state == TrialState.RUNNING:
                self._unfinished[past.number] = studies.records(past)
                continue
            trial = _PastTrial(f"past-{past.number}", {"number": past.number})
            self._inner.on_trial_add(None, trial)
            self._replay(trial, studies.records(past))

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        self._inner.on_trial_add(tune_controller, trial)
        self._held[trial.trial_id] = self._unfinished.pop(trial.config["number"], [])

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if "record" not in result:
            return str(TrialScheduler.CONTINUE)
        # A trial that goes on says its last epoch again, or the one after, where it was stopped between
        # checkpoint and report: what it says is decided now, what lies before was decided then.
        record = json.loads(result["record"])
        own = self._held.pop(trial.trial_id, [])
        self._replay(trial, [past for past in own if past["epoch"] < record["epoch"]])
        return self._decide(trial, record)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        if "requeued" in result:
            self._requeue(trial)
        elif "record" in result:
            self._inner.on_trial_complete(
                tune_controller, trial, self._told(trial, json.loads(result["record"]))
            )
        else:  # it failed: there is nothing to compare it by
            self._inner.on_trial_remove(tune_controller, trial)

    def _requeue(self, trial: Any) -> None:
        """It comes again under another of Tune's ids, and is told of its past anew."""
        self._inner.on_trial_remove(None, trial)
        said = [dict(record) for record in self._records.pop(trial.trial_id, {}).values()]
        self._unfinished[trial.config["number"]] = [*self._held.pop(trial.trial_id, []), *said]
        self._means().pop(trial, None)
        for _, recorded in self._rungs():
            recorded.pop(trial.trial_id, None)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        self._inner.on_trial_remove(tune_controller, trial)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        self._inner.on_trial_error(tune_controller, trial)

    def debug_string(self) -> str:
        return str(self._inner.debug_string())

    def _replay(self, trial: Any, records: Sequence[Mapping[str, Any]]) -> None:
        for record in records:
            self._decide(trial, record)

    def _decide(self, trial: Any, record: Mapping[str, Any]) -> str:
        told = self._told(trial, record)
        if self._guide.is_rank_based:
            self._rank_anew()
        return str(self._inner.on_trial_result(None, trial, told))

    def _told(self, trial: Any, record: Mapping[str, Any]) -> dict[str, Any]:
        self._guide.note(trial.config["number"], record)
        self._records.setdefault(trial.trial_id, {})[record["epoch"]] = record
        return {"epoch": record["epoch"], OBJECTIVE: self._guide.value(record)}

    def _rank_anew(self) -> None:
        """What the scheduler holds was ranked among fewer epochs: rank it among those of now."""
        for trial, told in self._means().items():
            for one in told:
                one[OBJECTIVE] = self._guide.value(self._records[trial.trial_id][one["epoch"]])
        for milestone, recorded in self._rungs():
            for trial_id in recorded:
                known = self._records[trial_id]
                recorded[trial_id] = self._guide.value(
                    known[min(epoch for epoch in known if epoch >= milestone)]
                )

    def _rungs(self) -> Iterator[tuple[int, dict[str, float]]]:
        """Of ASHA and Hyperband: each rung's epoch, and what it holds, by Tune's ids."""
        for bracket in getattr(self._inner, "_brackets", []):
            yield from bracket._rungs

    def _means(self) -> dict[Any, list[dict[str, Any]]]:
        """Of the median rule: what each trial was told, which it takes running means of."""
        found: dict[Any, list[dict[str, Any]]] = getattr(self._inner, "_results", {})
        return found


class _Hyperband(AsyncHyperBandScheduler):  # type: ignore[misc]  # Ray is untyped
    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Brackets in turn, by the trial's number: Ray draws them from NumPy's global generator."""
        self._trial_info[trial.trial_id] = self._brackets[
            trial.config["number"] % len(self._brackets)
        ]


def make_scheduler(spec: SearchSpec) -> Any:
    """Ray's scheduler of this name, with nothing seen yet."""
    epochs = spec.training.epochs
    common = {"time_attr": "epoch", "metric": OBJECTIVE, "mode": "max"}
    match spec.search.scheduler:
        case Asha(grace_epochs=grace, reduction_factor=factor):
            return AsyncHyperBandScheduler(
                **common, max_t=epochs, grace_period=min(grace, epochs), reduction_factor=factor
            )
        case Hyperband(grace_epochs=grace, reduction_factor=factor, brackets=brackets):
            return _Hyperband(
                **common,
                max_t=epochs,
                grace_period=min(grace, epochs),
                reduction_factor=factor,
                brackets=brackets,
            )
        case Median(grace_epochs=grace, min_trials=least):
            # Ray's would let a trial yield to waiting ones until there are enough to compare with.
            return MedianStoppingRule(
                **common, grace_period=grace, min_samples_required=least, min_time_slice=math.inf
            )
        case NoScheduler():
            return FIFOScheduler()
