"""A search without training and without Ray: a small version of Tune's loop over known curves."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from optuna.trial import FrozenTrial
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from rich.console import Console

from adaptune.search.callbacks.base import SearchCallback
from adaptune.search.callbacks.shortage import ShortageCallback
from adaptune.search.protocol import GroupConfig, GroupResult, TrialConfig, TrialResult
from adaptune.search.scheduler import GroupHooks, StudyScheduler
from adaptune.search.searcher import StudySearcher
from adaptune.spec.schema import SearchSpec
from adaptune.spec.tree import put
from adaptune.study.budget import SearchBudget
from adaptune.study.objective import Objective
from adaptune.study.storage import open_study
from adaptune.study.study import SearchStudy, create_study
from adaptune.training.record import EpochRecord
from adaptune.training.validators import VALIDATORS

Curve = Callable[[Mapping[str, Any], int], float]
PriorTrials = Mapping[str, Sequence[FrozenTrial]]
NODE_TIMEOUT_S = 600.0
_ids = itertools.count()


@dataclass(eq=False)
class FakeTrial:
    """A trial as Tune shows it to others, with the epoch that is reported next."""

    trial_id: str
    config: dict[str, Any]
    epoch: int = 1
    status: str = "RUNNING"
    last_result: dict[str, Any] | None = None
    pickled_error_file: str | None = None
    temporary_state: Any = field(default_factory=lambda: SimpleNamespace(ray_actor=None))

    def set_config(self, config: dict[str, Any]) -> None:
        self.config = config

    @property
    def group(self) -> GroupConfig:
        return GroupConfig.from_tune(self.config)


SPACE = {
    "loss_weights.cycle": {"search": "loguniform", "low": 0.1, "high": 30},
    "loss_weights.identity": {"search": "uniform", "low": 0, "high": 5},
}


def make_search(space: Mapping[str, object] = SPACE, **sections: Any) -> SearchSpec:
    """A search of cycle and identity, or of `space`; sections override or extend it."""
    domain = {"size": 32, "channels": 1}
    search = {"trials": 12, "startup_trials": 6} | sections.pop("search", {})
    tree: dict[str, object] = {
        "name": "fake",
        "data": {
            "source": {"domain": "mnist5k", **domain},
            "target": {"domain": "optdigits", **domain},
        },
        "training": {"epochs": 9} | sections.pop("training", {}),
        "search": search,
        "loss_weights": {"cycle": 0.1, "identity": 0},
    }
    tree |= sections
    for path, distribution in space.items():
        put(tree, path, distribution)
    return SearchSpec.model_validate(tree)


def make_record(epoch: int, accuracy: float, loss: float = 1.0, **fields: Any) -> EpochRecord:
    """A record whose validators equal the accuracy on target_val."""
    values: dict[str, Any] = {
        "epoch": epoch,
        "source_val_accuracy": 0.9,
        "target_val_accuracy": accuracy,
        "target_val_loss": loss,
        "validators": dict.fromkeys(VALIDATORS, accuracy),
        "train_s": 2.0,
        "eval_s": 0.5,
    }
    return EpochRecord(**values | fields)


def make_config(*numbers: int, **options: Any) -> dict[str, Any]:
    """The config of a group of trials without values."""
    trials = tuple(TrialConfig(number, {}) for number in numbers)
    return GroupConfig(trials, numbers[0], **options).to_tune()


def make_result(
    epoch: int, accuracy: float, *, number: int = 0, done: bool = False
) -> dict[str, Any]:
    """An epoch of a trial as a trainable reports it to Tune."""
    result = TrialResult(make_record(epoch, accuracy), accuracy, done=done)
    return GroupResult({number: result}, done=done).to_tune()


def smooth(values: Mapping[str, Any], epoch: int) -> float:
    """Best at cycle 3 and identity 1; a trial approaches its own ceiling over the epochs."""
    cycle_distance = math.log(values["loss_weights.cycle"] / 3) ** 2 / 8
    identity_distance = (values["loss_weights.identity"] - 1) ** 2 / 16
    return math.exp(-cycle_distance - identity_distance) * (1 - 0.5**epoch)


@dataclass
class FakeTune:
    """Tune's loop: asks the searcher for trials, and reports their epochs.

    Attributes:
        checkpoint_ahead: whether kills come between the checkpoint of an epoch and its report.
    """

    spec: SearchSpec
    study: SearchStudy
    curve: Curve
    concurrency: int = 1
    checkpoint_ahead: bool = False
    prior_trials: PriorTrials | None = None
    callbacks: Sequence[SearchCallback] = ()
    live: list[FakeTrial] = field(default_factory=list)
    ended_again: list[int] = field(default_factory=list)  # trials that are to be trained again

    def __post_init__(self) -> None:
        spec = self.spec
        objective = Objective(spec.search.metric)
        self.searcher = StudySearcher(
            self.study,
            objective,
            SearchBudget.of(spec, NODE_TIMEOUT_S),
            lambda _: self.concurrency,
            self.prior_trials,
            clock=lambda: 0.0,
        )
        self.scheduler = StudyScheduler(
            spec.search.scheduler,
            spec.epochs,
            self.study,
            objective,
            self.searcher.failure,
            GroupHooks(self.searcher.end_trials, self.searcher.note_death),
        )
        shortage = ShortageCallback(self.searcher, Console(file=StringIO()))
        self.callbacks = [*self.callbacks, shortage]

    def start_trials(self) -> None:
        while True:
            trial_id = f"tune-{next(_ids)}"
            config = self.searcher.suggest(trial_id)
            if not isinstance(config, dict):
                break
            numbers = GroupConfig.from_tune(config).running_numbers
            last_epoch = max(self.study.trial(number).last_epoch for number in numbers)
            epoch = last_epoch + 1 if self.checkpoint_ahead else max(last_epoch, 1)
            trial = FakeTrial(trial_id, config, epoch)
            self.scheduler.on_trial_add(None, trial)
            self.live.append(trial)
        assert len(self.live) <= self.concurrency

    def report_epoch(self, trial: FakeTrial) -> str | None:
        """Report the group's next epoch; return the decision, or None if it was the last one."""
        done = trial.epoch == self.spec.epochs
        results = {}
        for config in trial.group.running:
            accuracy = self.curve(config.values, trial.epoch)
            record = make_record(trial.epoch, accuracy)
            results[config.number] = TrialResult(record, accuracy, done=done)
        result = GroupResult(results, done=done).to_tune()
        trial.last_result = result
        trial.epoch += 1
        if done:
            self._end(trial, result)
            return None
        decision = self.scheduler.on_trial_result(None, trial, result)
        if decision == TrialScheduler.CONTINUE:
            self.searcher.on_trial_result(trial.trial_id, result)
        elif not self.checkpoint_ahead:  # a kill comes between the epoch and the trial's end
            live = self.searcher._live[trial.trial_id]
            self.searcher._store_epochs(live, GroupResult.from_tune(result), live.trials)
        return decision

    def stop(self, trial: FakeTrial) -> None:
        """Stop a trial: Tune passes its last result again."""
        assert trial.last_result is not None
        self._end(trial, trial.last_result)

    def requeue(self, trial: FakeTrial) -> None:
        """End a trial for whose workers there is no room."""
        self._end(trial, GroupResult(requeue_reason="no room", done=True).to_tune())

    def restart_process(self, trial: FakeTrial) -> None:
        """Restart the dead process of a trial, which reports its last epoch again."""
        self.scheduler.on_trial_error(None, trial)
        self.scheduler.on_trial_add(None, trial)
        self.replace_workers(trial)

    def die_between_trials(self, trial: FakeTrial) -> None:
        """Lose the process that was to take a trial: Tune restarts the trial and gives it up."""
        self.restart_process(trial)
        trial.status = Trial.PENDING
        trial.last_result = {}
        self.scheduler.on_trial_error(None, trial)
        self.searcher.on_trial_complete(trial.trial_id, error=True)
        for callback in self.callbacks:
            callback.on_trial_error(1, self.live, trial)
        self.live.remove(trial)

    def replace_workers(self, trial: FakeTrial) -> None:
        """Give a trial new workers, which report its last epoch again."""
        trial.epoch = max(trial.epoch - 1, 1)

    def end_step(self) -> None:
        for callback in self.callbacks:
            callback.on_step_end(1, self.live)

    def _end(self, trial: FakeTrial, result: dict[str, Any]) -> None:
        """End a trial like Tune's `stop_trial`, which after any error trains the trial again."""
        trial.last_result = result
        try:
            self.scheduler.on_trial_complete(None, trial, result)
            self.searcher.on_trial_complete(trial.trial_id, result)
            for callback in self.callbacks:
                callback.on_trial_complete(1, self.live, trial)
        except Exception:
            self.ended_again.append(trial.group.leader)
            self.restart_process(trial)
            return
        self.live.remove(trial)


def simulate(
    spec: SearchSpec,
    journal: Path | None,
    curve: Curve,
    *,
    stop_after: int | None = None,
    concurrency: int = 1,
    checkpoint_ahead: bool = False,
    disturb: Callable[[FakeTune, FakeTrial], None] | None = None,
    every: int = 3,
    prior_trials: PriorTrials | None = None,
    study: SearchStudy | None = None,
    callbacks: Sequence[SearchCallback] = (),
) -> SearchStudy:
    """Run the search's searcher and scheduler over `curve`, or resume what the journal holds.

    Args:
        journal: file of the study; None keeps it in memory.
        stop_after: drop everything after this many unfinished epochs, as a kill does.
        checkpoint_ahead: see `FakeTune`.
        disturb: happens to a trial instead of an epoch, such as `FakeTune.requeue`.
        every: number of turns after which `disturb` happens.
        prior_trials: trials of other searches that the sampler learns from.
        study: study of the search, instead of the journal's.
        callbacks: callbacks besides the one that ends the search.
    """
    if study is None:
        study = create_study(spec) if journal is None else open_study(spec, journal)
    tune = FakeTune(spec, study, curve, concurrency, checkpoint_ahead, prior_trials, callbacks)
    unfinished_epochs = 0
    turns = itertools.count(1)
    while True:
        tune.start_trials()
        if not tune.live:
            return study
        for trial in list(tune.live):
            if disturb is not None and next(turns) % every == 0:
                disturb(tune, trial)
                continue
            decision = tune.report_epoch(trial)
            if decision is not None:
                unfinished_epochs += 1
                if unfinished_epochs == stop_after:
                    return study
                if decision == TrialScheduler.STOP:
                    tune.stop(trial)
            tune.end_step()


def history(study: SearchStudy) -> list[tuple[Any, ...]]:
    """Everything that two runs of one search must have in common."""
    rows: list[tuple[Any, ...]] = []
    for trial in study.started_trials():
        values = trial.optuna_trial.values
        rows.append((trial.number, trial.state, trial.values, trial.curve, values))
    return rows
