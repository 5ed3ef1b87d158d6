"""The Optuna study: the one truth of a search. All else that a search knows can be made from it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from adaptune.data.seeding import derive_seed
from adaptune.errors import ResultsError
from adaptune.spec.distributions import Choice, Distribution, Int, LogUniform, Uniform
from adaptune.spec.schema import SearchSpec
from adaptune.training.loop import Record

METRIC = "target_val_accuracy"
_RECORD = "record:"
_LEG = "leg:"


def open_study(spec: SearchSpec, journal: str) -> optuna.Study:
    """The study of this search, made with its start points where there is none yet.

    The caller holds the folder's lock: a torn last line, which a kill or a power cut may leave, is cut off,
    since Optuna would write on behind it and never read the journal again.
    """
    _cut_torn_line(Path(journal))
    storage: BaseStorage = JournalStorage(_WholeLines(journal))
    study = optuna.create_study(study_name=spec.name, storage=storage, direction="maximize", load_if_exists=True)
    for point in spec.search.start_points:
        study.enqueue_trial(dict(point), skip_if_exists=True)
    return study


def load_study(journal: str) -> optuna.Study:
    """The study in a journal, to look at: nothing is written, and a search may be running on it.

    Raises:
        ResultsError: there is none.
    """
    # Optuna would make an empty journal.
    if not Path(journal).is_file():
        raise ResultsError(f"there is no study {journal}: the search has not begun its trials")
    try:
        storage = JournalStorage(JournalFileBackend(journal))
        [name] = optuna.get_all_study_names(storage)
        return optuna.load_study(study_name=name, storage=storage)
    except (KeyError, ValueError) as error:
        raise ResultsError(f"there is no study in {journal}: {error}") from error


def _cut_torn_line(journal: Path) -> None:
    if not journal.exists():
        return
    with journal.open("rb+") as file:
        whole = file.read()
        if not whole.endswith(b"\n"):
            file.truncate(whole.rfind(b"\n") + 1)


class _WholeLines(JournalFileBackend):
    """A journal that a full disk leaves as it was: Optuna would leave a torn line, and write on behind it."""

    def __init__(self, journal: str) -> None:
        super().__init__(journal)
        self._journal = journal

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        size = os.path.getsize(self._journal)  # nobody else writes: the folder is locked
        try:
            super().append_logs(logs)
        except OSError:
            os.truncate(self._journal, size)
            raise


class WallClock:
    """How long all runs of the driver on a study have taken, kept in the study while this one goes on."""

    def __init__(self, study: optuna.Study, since: float) -> None:
        """`since`: `time.perf_counter()` at the start of this run."""
        self._study = study
        self.since = since
        self._key = f"{_LEG}{time.time():.3f}"
        self._earlier_s = sum(value for key, value in study.user_attrs.items() if key.startswith(_LEG))

    def note(self) -> float:
        """Keep this run's seconds so far; returns those of all runs."""
        seconds = time.perf_counter() - self.since
        self._study.set_user_attr(self._key, seconds)
        return float(self._earlier_s + seconds)


def distributions(space: Mapping[str, Distribution]) -> dict[str, BaseDistribution]:
    """The spec's distributions as Optuna's."""
    return {key: _convert(distribution) for key, distribution in space.items()}


def ask(study: optuna.Study, spec: SearchSpec) -> Trial:
    """A new trial, or the next start point.

    The sampler is seeded anew for each trial: what it proposes depends on the seed and on the
    trials so far, not on how often the search was interrupted.
    """
    study.sampler = _sampler(spec, len(started(study)))
    return study.ask(distributions(spec.space))


def ask_again(trial: Trial, spec: SearchSpec) -> Trial:
    """An interrupted trial, with the values drawn that it lacks: the interruption may have come between two values."""
    trial.study.sampler = _sampler(spec, trial.number)
    for key, distribution in distributions(spec.space).items():
        trial._suggest(key, distribution)  # a value that is there stands
    return trial


def started(study: optuna.Study) -> list[FrozenTrial]:
    """All trials but the start points that still wait."""
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state != TrialState.WAITING]


def interrupted(study: optuna.Study) -> list[Trial]:
    """Trials that a search began and left: they go on under the same number."""
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return [Trial(study, trial._trial_id) for trial in running]


def note_record(trial: Trial, record: Record) -> bool:
    """Keep an epoch's record; False where it is there already (a resumed trial says its last one again)."""
    epoch = record["epoch"]
    if f"{_RECORD}{epoch}" in trial.user_attrs:
        return False
    trial.set_user_attr(f"{_RECORD}{epoch}", record)
    trial.report(record[METRIC], epoch)
    return True


def records(trial: FrozenTrial | Trial) -> list[dict[str, Any]]:
    """The records of a trial's epochs, in order."""
    found = [value for key, value in trial.user_attrs.items() if key.startswith(_RECORD)]
    return sorted(found, key=lambda record: record["epoch"])


def curve(trial: FrozenTrial | Trial) -> dict[int, float]:
    """Epoch → target_val accuracy."""
    return {record["epoch"]: record[METRIC] for record in records(trial)}


def score(record: Mapping[str, Any]) -> tuple[float, float]:
    """What the best of records has most of: accuracy and, among equals, a low loss."""
    return record[METRIC], -record["target_val_loss"]


def best_record(trial: FrozenTrial | Trial) -> dict[str, Any] | None:
    return max(records(trial), key=score, default=None)


def ranked(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that ran to their end or were stopped, by their best epochs, best first."""
    done = [
        trial
        for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        if records(trial)
    ]
    return sorted(done, key=lambda trial: score(best_record(trial) or {}), reverse=True)


def best_trial(study: optuna.Study) -> FrozenTrial | None:
    return next(iter(ranked(study)), None)


def finish(study: optuna.Study, trial: Trial, *, epochs: int, error: str | None, wall_s: float | None) -> TrialState:
    """Close a trial: FAIL with its error, COMPLETE after its last epoch, else PRUNED.

    A pruned trial keeps its curve, and Optuna takes its last value, with its epoch, for what it is
    worth. A complete one is worth its best epoch, which is the one that is exported.
    """
    trial.set_user_attr("wall_s", wall_s)
    if error is not None:
        trial.set_user_attr("error", error)
        state, value = TrialState.FAIL, None
    elif max(curve(trial), default=0) >= epochs:
        state, value = TrialState.COMPLETE, max(curve(trial).values())
    else:
        state, value = TrialState.PRUNED, None
    study.tell(trial, value, state=state)
    return state


def _convert(distribution: Distribution) -> BaseDistribution:
    match distribution:
        case Uniform(low=low, high=high):
            return FloatDistribution(low, high)
        case LogUniform(low=low, high=high):
            return FloatDistribution(low, high, log=True)
        case Int(low=low, high=high, step=step):
            return IntDistribution(low, high, step=step)
        case Choice(values=values):
            return CategoricalDistribution(values)


def _sampler(spec: SearchSpec, number: int) -> BaseSampler:
    seed = derive_seed(spec.seed, "sampler", number) % 2**32
    if spec.search.sampler == "random":
        return RandomSampler(seed=seed)
    return TPESampler(seed=seed, n_startup_trials=spec.search.startup_trials)
