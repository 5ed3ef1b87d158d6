"""Optuna and ASHA as Ray Tune sees them. Both live off the study alone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import TrialState
from ray.tune.schedulers import AsyncHyperBandScheduler
from ray.tune.search import Searcher

from adaptune.search import study as studies
from adaptune.spec.schema import SearchSpec

Clock = Callable[[], float]


class StudySearcher(Searcher):  # type: ignore[misc]  # Ray is untyped
    """Gives Tune the study's interrupted trials, then new ones, and tells the study how they went.

    It hands out a trial only while fewer than `capacity()` are under way, and never more than
    `spec.search.trials` in all.
    """

    def __init__(
        self, spec: SearchSpec, study: optuna.Study, capacity: Callable[[], int], clock: Clock = time.perf_counter
    ) -> None:
        super().__init__(metric=studies.METRIC, mode="max")
        self._spec = spec
        self._study = study
        self._capacity = capacity
        self._clock = clock
        self._interrupted = studies.interrupted(study)
        self._live: dict[str, tuple[optuna.Trial, float | None]] = {}

    def remaining(self) -> int:
        """How many trials there are to run."""
        new = self._spec.search.trials - len(studies.started(self._study))
        return len(self._interrupted) + max(new, 0)

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if len(self._live) >= self._capacity():
            return None
        if not self.remaining():
            return str(Searcher.FINISHED)
        if self._interrupted:
            trial, since = studies.ask_again(self._interrupted.pop(0), self._spec), None  # it began before us
        else:
            trial, since = studies.ask(self._study, self._spec), self._clock()
        self._live[trial_id] = trial, since
        return {"number": trial.number, "values": dict(trial.params)}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if "record" in result:
            studies.note_record(self._live[trial_id][0], json.loads(result["record"]))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        result = result or {}
        self.on_trial_result(trial_id, result)
        trial, since = self._live.pop(trial_id)
        message = result.get("error") or ("the trial's process died again and again" if error else None)
        studies.finish(
            self._study,
            trial,
            epochs=self._spec.training.epochs,
            error=message,
            wall_s=None if since is None else self._clock() - since,
        )

    # The study is on disk at every moment: Tune has nothing to save, and reads nothing back.
    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None: ...

    def save(self, checkpoint_path: str) -> None: ...

    def restore(self, checkpoint_path: str) -> None: ...


@dataclass(frozen=True)
class _PastTrial:
    trial_id: str


class ResumableASHA(AsyncHyperBandScheduler):  # type: ignore[misc]  # Ray is untyped
    """Ray's ASHA, on epochs, with its rungs filled from the study's curves."""

    def __init__(self, spec: SearchSpec, study: optuna.Study) -> None:
        super().__init__(
            time_attr="epoch",
            metric=studies.METRIC,
            mode="max",
            max_t=spec.training.epochs,
            grace_period=min(spec.search.scheduler.grace_epochs, spec.training.epochs),
            reduction_factor=spec.search.scheduler.reduction_factor,
        )
        self._unfinished: dict[int, dict[int, float]] = {}
        self._held: dict[str, dict[int, float]] = {}  # curves whose trial has not spoken again yet
        for past in studies.started(study):
            if past.state == TrialState.RUNNING:
                self._unfinished[past.number] = studies.curve(past)
                continue
            trial = _PastTrial(f"past-{past.number}")
            super().on_trial_add(None, trial)
            self._replay(trial, studies.curve(past))

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        super().on_trial_add(tune_controller, trial)
        self._held[trial.trial_id] = self._unfinished.pop(trial.config["number"], {})

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        # A trial that goes on says its last epoch again, or the one after, where it was stopped between
        # checkpoint and report: what it says is decided now, what lies before was decided then.
        if "epoch" in result:
            own = self._held.pop(trial.trial_id, {})
            self._replay(trial, {epoch: value for epoch, value in own.items() if epoch < result["epoch"]})
        return str(super().on_trial_result(tune_controller, trial, result))

    def _replay(self, trial: Any, curve: Mapping[int, float]) -> None:
        for epoch, value in sorted(curve.items()):
            super().on_trial_result(None, trial, {"epoch": epoch, studies.METRIC: value})
