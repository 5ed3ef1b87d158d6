"""A search at one moment, as its study tells it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from adaptune.evaluation.test_scores import NAMES
from adaptune.report.tables import STATES
from adaptune.spec.distributions import Choice, Distribution, LogUniform, Value
from adaptune.spec.schema import SearchSpec
from adaptune.study.baseline_objectives import F_S, known_baseline_objectives
from adaptune.study.progress import SearchProgress, stored_progress
from adaptune.study.study import SearchStudy
from adaptune.study.trial import StudyTrial
from adaptune.training.metrics import ACCURACY, metric_of
from adaptune.training.significance import accuracy_interval

RUNNING = "running"


@dataclass(frozen=True)
class TrialView:
    """A trial that has started.

    Attributes:
        number: number of the trial.
        state: state in words, such as `stopped early`.
        note: error, symptom of an unhealthy GAN, or request of a person; may be empty.
        epoch: number of the last epoch; 0 without any.
        curve: objective of each epoch.
        best_epoch: number of the best epoch; 0 without any.
        best: its objective; None without an epoch.
        values: sampled values by dotted path.
        positions: place of each searched value in its range, from 0 to 1; None if not drawn.
        active_s: seconds of training and evaluation.
    """

    number: int
    state: str
    note: str
    epoch: int
    curve: tuple[float, ...]
    best_epoch: int
    best: float | None
    values: Mapping[str, Value]
    positions: tuple[float | None, ...]
    active_s: float


@dataclass(frozen=True)
class Snapshot:
    """A search at one moment.

    Attributes:
        name: name of the search.
        metric: the metric that it maximises.
        now: `time.time()`.
        epochs: number of epochs of a trial that is not stopped.
        total: number of trials in all.
        ended: number of trials that have ended.
        device_s: seconds that all workers have trained and evaluated.
        paths: searched values, in the order of `TrialView.positions`.
        progress: what the driver stored; None before the first trial.
        best: best trial so far; None without an epoch.
        interval: 95% interval of its accuracy; None if the metric is not the accuracy.
        baseline: name and objective of the best baseline known so far; None without any.
        running: trials that have not ended.
        last_ended: trials that have ended, the last one first.
        is_active: whether a driver runs; None if that is not known.
    """

    name: str
    metric: str
    now: float
    epochs: int
    total: int
    ended: int
    device_s: float
    paths: tuple[str, ...]
    progress: SearchProgress | None
    best: TrialView | None
    interval: tuple[float, float] | None
    baseline: tuple[str, float] | None
    running: Sequence[TrialView]
    last_ended: Sequence[TrialView]
    is_active: bool | None

    @property
    def left_s(self) -> float | None:
        """Seconds to the expected end; None if it is not known."""
        if self.progress is None or self.progress.end is None:
            return None
        return max(self.progress.end - self.now, 0.0)


class SnapshotReader:
    """Reads snapshots of a search; trials that have ended are read once.

    Args:
        study: study of the search.
        spec: spec of the search.
        is_active: returns whether a driver runs.
        clock: `time.time`.
    """

    def __init__(
        self,
        study: SearchStudy,
        spec: SearchSpec,
        is_active: Callable[[], bool | None] = lambda: True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._study = study
        self._spec = spec
        self._is_active = is_active
        self._clock = clock
        self._ended: dict[int, TrialView] = {}  # the last one last

    def read(self) -> Snapshot:
        """Return the search as it is now."""
        running = []
        newly_ended = []
        for trial in self._study.started_trials():
            if trial.number in self._ended:
                continue
            if trial.state.is_finished():
                newly_ended.append(trial)
            else:
                running.append(self._view(trial))
        newly_ended.sort(key=lambda trial: str(trial.optuna_trial.datetime_complete))
        for trial in newly_ended:
            self._ended[trial.number] = self._view(trial)
        progress = stored_progress(self._study)
        best = self._best([*self._ended.values(), *running])
        active_s = sum(trial.active_s for trial in [*self._ended.values(), *running])
        return Snapshot(
            name=self._spec.name,
            metric=self._study.metric,
            now=self._clock(),
            epochs=self._spec.epochs,
            total=self._study.steering.trials(self._spec.planned_trials),
            ended=len(self._ended),
            device_s=active_s * (1 if progress is None else progress.workers),
            paths=tuple(self._spec.space),
            progress=progress,
            best=best,
            interval=self._interval(best, progress),
            baseline=self._baseline(),
            running=running,
            last_ended=list(reversed(self._ended.values())),
            is_active=self._is_active(),
        )

    def _view(self, trial: StudyTrial) -> TrialView:
        best = trial.best_epoch
        values = trial.values
        space = self._spec.space
        return TrialView(
            number=trial.number,
            state=RUNNING if not trial.state.is_finished() else STATES[trial.state.name],
            note=self._note(trial),
            epoch=trial.last_epoch,
            curve=tuple(trial.curve.values()),
            best_epoch=0 if best is None else best.number,
            best=None if best is None else best.objective,
            values=values,
            positions=tuple(position(space[path], values.get(path)) for path in space),
            active_s=trial.active_s,
        )

    def _note(self, trial: StudyTrial) -> str:
        if trial.error is not None:
            return " ".join(trial.error.split())
        notes = []
        if self._study.steering.is_stopped(trial.number):
            notes.append("on request")
        unhealthy = trial.epochs[-1].record.unhealthy if trial.epochs else None
        if unhealthy is not None:
            notes.append(f"unhealthy: {unhealthy}")
        return ", ".join(notes)

    def _best(self, trials: Sequence[TrialView]) -> TrialView | None:
        """Return the best trial; a failed one is none, as nothing of it is exported."""
        ranked = [
            trial
            for trial in trials
            if trial.best is not None
            and not math.isnan(trial.best)
            and trial.state != STATES["FAIL"]
        ]
        return max(ranked, key=lambda trial: trial.best or 0.0, default=None)

    def _baseline(self) -> tuple[str, float] | None:
        known = known_baseline_objectives(self._study)
        best = max(known, key=known.__getitem__, default=None)
        if best is None:
            return None
        return "f_S" if best == F_S else NAMES[best], known[best]

    def _interval(
        self, best: TrialView | None, progress: SearchProgress | None
    ) -> tuple[float, float] | None:
        if best is None or best.best is None or progress is None:
            return None
        if metric_of(self._study.metric) != ACCURACY or not progress.target_val:
            return None
        hits = round(best.best * progress.target_val)
        return accuracy_interval(hits, progress.target_val)


def position(distribution: Distribution, value: Value) -> float | None:
    """Return the place of a value in the range of its distribution, from 0 to 1."""
    if value is None:
        return None
    if isinstance(distribution, Choice):
        place = list(distribution.values).index(value)
        return place / max(len(distribution.values) - 1, 1)
    low, high = float(distribution.low), float(distribution.high)
    number = max(float(value), low)  # 0 may be below a logarithmic range
    if isinstance(distribution, LogUniform):
        low, high, number = math.log(low), math.log(high), math.log(number)
    return (number - low) / (high - low)
