"""The Optuna study: the one truth of a search. All else that a search knows can be made from it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from adaptune.search.objective import Objective
from adaptune.search.samplers import distributions, make_sampler
from adaptune.spec.schema import SearchSpec
from adaptune.training.guide import score
from adaptune.training.loop import Record

OBJECTIVE = "guide"
WARM_START = "warm_start"
METRIC = "metric"
_RECORD = "record:"
_LEG = "leg:"


def create_study(spec: SearchSpec, storage: BaseStorage | None) -> optuna.Study:
    """The study in a storage, in memory for None, made with its start points where there is none yet."""
    study = optuna.create_study(
        study_name=spec.name, storage=storage, directions=directions(spec), load_if_exists=True
    )
    if METRIC not in study.user_attrs:
        study.set_user_attr(METRIC, spec.search.metric)
    for point in spec.search.start_points:
        study.enqueue_trial(dict(point), skip_if_exists=True)
    return study


class WallClock:
    """How long all runs of the driver on a study have taken, kept in the study while this one goes on."""

    def __init__(self, study: optuna.Study, since: float) -> None:
        """`since`: `time.perf_counter()` at the start of this run."""
        self._study = study
        self.since = since
        self._key = f"{_LEG}{time.time():.3f}"
        self._earlier_s = sum(
            value for key, value in study.user_attrs.items() if key.startswith(_LEG)
        )

    def note(self) -> float:
        """Keep this run's seconds so far; returns those of all runs."""
        seconds = time.perf_counter() - self.since
        self._study.set_user_attr(self._key, seconds)
        return float(self._earlier_s + seconds)


def ask(study: optuna.Study, spec: SearchSpec, priors: Sequence[FrozenTrial] = ()) -> Trial:
    """The next start point, or a new trial, proposed from the trials so far and from those of other studies."""
    sampler = make_sampler(spec, len(started(study)))
    study.sampler = sampler
    if priors and not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        # Other studies' trials stay out of this one: its numbers and counts are its own.
        both = optuna.create_study(directions=directions(spec), sampler=sampler)
        both.add_trials([*priors, *started(study)])
        study.enqueue_trial(_draw(both.ask(), spec).params)
    return _draw(study.ask(), spec)


def directions(spec: SearchSpec) -> list[StudyDirection]:
    return [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE][: spec.search.objectives]


def resume_trial(trial: Trial, spec: SearchSpec) -> Trial:
    """An interrupted trial, with the values drawn that it lacks: the interruption may have come between two values."""
    trial.study.sampler = make_sampler(spec, trial.number)
    return _draw(trial, spec)


def _draw(trial: Trial, spec: SearchSpec) -> Trial:
    """Every value that the trial lacks, those first on which others hang; a value that is there stands."""
    space = distributions(spec.space)
    for key in sorted(space, key=lambda key: len(spec.space[key].when)):
        if spec.space[key].is_drawn(trial.params):
            trial._suggest(key, space[key])
    return trial


def started(study: optuna.Study) -> list[FrozenTrial]:
    """All trials but the start points that still wait."""
    return [
        trial for trial in study.get_trials(deepcopy=False) if trial.state != TrialState.WAITING
    ]


def interrupted(study: optuna.Study) -> list[Trial]:
    """Trials that a search began and left: they go on under the same number."""
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return [Trial(study, trial._trial_id) for trial in running]


def add_epoch(trial: Trial, record: Record, value: float) -> bool:
    """Keep an epoch's record, and the value that guides the search.

    False where it is there already: a resumed trial says its last one again.
    """
    epoch = record["epoch"]
    if f"{_RECORD}{epoch}" in trial.user_attrs:
        return False
    trial.set_user_attr(f"{_RECORD}{epoch}", record | {OBJECTIVE: value})
    if len(trial.study.directions) == 1:  # Optuna has no curves of several objectives
        trial.report(value, epoch)
    return True


def note_warm_start(study: optuna.Study, counts: Mapping[str, int]) -> None:
    """Keep how many trials of each earlier search count as seen."""
    if counts:
        study.set_user_attr(WARM_START, dict(counts))


def warm_start(study: optuna.Study) -> str | None:
    """Where observations came from that no trial of this search made, in words."""
    counts: Mapping[str, int] = study.user_attrs.get(WARM_START, {})
    said = ", ".join(f"{count} trial(s) of {folder}" for folder, count in counts.items())
    return f"warm start: {said} counted as seen" if said else None


def records(trial: FrozenTrial | Trial) -> list[dict[str, Any]]:
    """The records of a trial's epochs, in order."""
    found = [value for key, value in trial.user_attrs.items() if key.startswith(_RECORD)]
    return sorted(found, key=lambda record: record["epoch"])


def curve(trial: FrozenTrial | Trial) -> dict[int, float]:
    """Epoch → the value that guided the search."""
    return {record["epoch"]: record[OBJECTIVE] for record in records(trial)}


def best_record(trial: FrozenTrial | Trial, metric: str) -> dict[str, Any] | None:
    return max(records(trial), key=lambda record: score(record, metric), default=None)


def metric_of(study: optuna.Study) -> str:
    """The metric of the search."""
    return str(study.user_attrs[METRIC])


def ranked(study: optuna.Study, *, running: bool = False) -> list[FrozenTrial]:
    """The trials that ran to their end or were stopped, by their best epochs, best first; `running` ones too."""
    return list(
        {trial.number: trial for trial, _ in ranked_epochs(study, running=running)}.values()
    )


def ranked_epochs(
    study: optuna.Study, *, running: bool = False
) -> list[tuple[FrozenTrial, Record]]:
    """Every epoch of those trials, with its trial, best first."""
    states = (TrialState.COMPLETE, TrialState.PRUNED) + ((TrialState.RUNNING,) if running else ())
    metric = metric_of(study)
    guide = Objective(metric)
    for trial in started(study):
        for record in records(trial):
            guide.note(trial.number, record)

    def worth(found: tuple[FrozenTrial, Record]) -> tuple[float, ...]:
        trial, record = found
        own = score(record, metric)
        # A trial's workers kept what they took for its best: what all trials say comes after that.
        return (guide.value(best_record(trial, metric) or {}), *own) if guide.is_rank_based else own

    trials = study.get_trials(deepcopy=False, states=states)
    return sorted(
        ((trial, record) for trial in trials for record in records(trial)), key=worth, reverse=True
    )


def best_trial(study: optuna.Study) -> FrozenTrial | None:
    return next(iter(ranked(study)), None)


def best_value(trial: FrozenTrial | Trial, metric: str) -> float | None:
    """What guided the search, at the trial's best epoch."""
    record = best_record(trial, metric)
    return None if record is None else float(record[OBJECTIVE])


def finish(
    study: optuna.Study, trial: Trial, *, epochs: int, error: str | None, wall_s: float | None
) -> TrialState:
    """Close a trial: FAIL with its error, COMPLETE after its last epoch, else PRUNED.

    A pruned trial keeps its curve, and Optuna takes its last value, with its epoch, for what it is
    worth. A complete one is worth its best epoch, which is the one that is exported.
    """
    trial.set_user_attr("wall_s", wall_s)
    if sick := next(
        (record["sick"] for record in reversed(records(trial)) if record.get("sick")), None
    ):
        trial.set_user_attr("sick", sick)
    values: list[float] | None = None
    worth = best_value(trial, metric_of(study))
    if error is None and worth is not None and math.isnan(worth):
        error = f"search.metric {metric_of(study)} cannot be computed: it needs more samples"
    if error is not None:
        trial.set_user_attr("error", error)
        state = TrialState.FAIL
    elif max(curve(trial), default=0) >= epochs and worth is not None:
        state = TrialState.COMPLETE
        values = [worth] if len(study.directions) == 1 else [worth, active_s(trial)]
    else:
        state = TrialState.PRUNED
    study.tell(trial, values, state=state)
    return state


def active_s(trial: FrozenTrial | Trial) -> float:
    """Seconds of training and evaluation."""
    return float(sum(record["train_s"] + record["eval_s"] for record in records(trial)))
