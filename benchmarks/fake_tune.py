"""Tune's loop over trials whose accuracies a landscape gives, without any training."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from landscapes import EPOCHS, Values
from ray.tune.schedulers import TrialScheduler
from recorded_landscape import AnyLandscape
from searches import CONCURRENCY, TUNE_EPOCH, Search

from adaptune.search.protocol import GroupResult, TrialResult
from adaptune.training.record import EpochRecord


@dataclass(frozen=True)
class Report:
    """A search after an epoch of a trial group.

    Attributes:
        spent: device time so far, in epochs of a single trial.
        regret: highest final accuracy, minus that of the settings with the best reported accuracy.
        model_regret: highest final accuracy, minus the true accuracy of that model.
    """

    spent: float
    regret: float
    model_regret: float


@dataclass(frozen=True)
class Run:
    """One search.

    Attributes:
        reports: one per epoch of a trial group.
        proposals: number of trials.
        searcher_s: seconds of computing of the searcher and the scheduler.
    """

    reports: list[Report]
    proposals: int
    searcher_s: float


@dataclass(eq=False)
class FakeTrial:
    """The attributes of Tune's Trial that a scheduler reads, and the epoch to report next.

    Attributes:
        running: values of its trials that have not ended, by number.
        gan: number of its GAN.
    """

    trial_id: str
    config: dict[str, Any]
    running: dict[int, Values] = field(default_factory=dict)
    gan: int = 0
    epoch: int = 1
    status: str = "RUNNING"

    @property
    def number(self) -> int:
        """Number of the first trial; 0 in Ray's searches, whose trials have none."""
        return int(self.config.get("leader", 0))

    def set_config(self, config: dict[str, Any]) -> None:
        """Replace the config, as Tune's Trial does."""
        self.config = config


class FakeTune:
    """Runs a search on a landscape.

    Args:
        seed: seed of the noise.
        budget: device time after which the search ends, in epochs of a single trial.
        classifier_share: share of f_T in the time of such an epoch.
    """

    def __init__(
        self,
        landscape: AnyLandscape,
        search: Search,
        seed: int,
        budget: float = math.inf,
        classifier_share: float = 0.0,
    ) -> None:
        self._landscape = landscape
        self._search = search
        self._random = np.random.default_rng(seed)
        self._seed = seed
        self._budget = budget
        self._classifier_share = classifier_share
        self._running: list[FakeTrial] = []
        self._suggestions = 0
        self._trials = 0
        self._spent = 0.0
        self._searcher_s = 0.0
        self._best_reported = -math.inf
        self._regrets = (1.0, 1.0)  # before any accuracy is known

    def run(self) -> Run:
        """Run the search to its end, or to that of the budget."""
        reports: list[Report] = []
        while self._spent < self._budget:
            self._start_trials()
            if not self._running:
                break
            for trial in list(self._running):
                if not self._train(trial):
                    self._running.remove(trial)
                reports.append(Report(self._spent, *self._regrets))
        return Run(reports, self._trials, self._searcher_s)

    def _start_trials(self) -> None:
        while len(self._running) < CONCURRENCY:
            trial_id = f"trial-{self._suggestions}"
            self._suggestions += 1
            config = self._timed(self._search.searcher.suggest, trial_id)
            if not isinstance(config, dict):
                break
            trial = FakeTrial(trial_id, config)
            trial.running = self._search.trials(config, self._trials)
            trial.gan = self._trials
            self._trials += len(trial.running)
            self._running.append(trial)
            self._timed(self._search.scheduler.on_trial_add, None, trial)

    def _train(self, trial: FakeTrial) -> bool:
        """Train an epoch of a group and report it as Tune does; return whether more follow."""
        share = self._classifier_share
        self._spent += 1 - share + share * len(trial.running)
        results = {}
        for number, values in trial.running.items():
            seed_effect = self._seed_effect(number, trial.gan)
            results[number] = self._result(values, trial.epoch, seed_effect)
        done = all(result.done for result in results.values())
        has_failed = all(result.error is not None for result in results.values())
        report = GroupResult(results, done=done).to_tune() | {TUNE_EPOCH: trial.epoch}
        trial.epoch += 1
        searcher, scheduler = self._search.searcher, self._search.scheduler
        if has_failed:
            self._timed(scheduler.on_trial_remove, None, trial)
            self._timed(searcher.on_trial_complete, trial.trial_id, report, error=True)
            return False
        if done:
            self._timed(scheduler.on_trial_complete, None, trial, report)
            self._timed(searcher.on_trial_complete, trial.trial_id, report)
            return False
        decision = self._timed(scheduler.on_trial_result, None, trial, report)
        self._timed(searcher.on_trial_result, trial.trial_id, report)
        if decision == TrialScheduler.STOP:
            self._timed(scheduler.on_trial_remove, None, trial)
            self._timed(searcher.on_trial_complete, trial.trial_id, report)
            return False
        numbers = self._search.running(trial.config, trial.running)
        trial.running = {number: trial.running[number] for number in numbers}
        return True

    def _seed_effect(self, number: int, gan: int) -> float:
        """Return the luck of a trial, a standard normal number."""
        own = float(np.random.default_rng([self._seed, number]).standard_normal())
        of_gan = float(np.random.default_rng([self._seed, gan, 1]).standard_normal())
        shared = self._landscape.shared_luck
        return math.sqrt(shared) * of_gan + math.sqrt(1 - shared) * own

    def _result(self, values: Values, epoch: int, seed_effect: float) -> TrialResult:
        """Return a trial's epoch, and note whether it is the best so far."""
        landscape = self._landscape
        accuracy = landscape.accuracy(values, epoch, self._random, seed_effect)
        if accuracy > self._best_reported:
            self._best_reported = accuracy
            true_accuracy = landscape.true_accuracy(values, epoch, seed_effect)
            regret = landscape.best - landscape.final(values)
            self._regrets = (regret, landscape.best - true_accuracy)
        return make_trial_result(epoch, accuracy, epochs=landscape.epochs)

    def _timed(self, function: Any, *arguments: object, **options: object) -> Any:
        start = time.process_time()
        result = function(*arguments, **options)
        self._searcher_s += time.process_time() - start
        return result


def make_trial_result(
    epoch: int,
    accuracy: float,
    validators: Mapping[str, float] | None = None,
    *,
    epochs: int = EPOCHS,
) -> TrialResult:
    """Return the result of a trial's epoch; an accuracy of NaN is a failure.

    Args:
        epochs: epochs of a trial that is not stopped.
    """
    if math.isnan(accuracy):
        return TrialResult(error="nan", done=True)
    record = EpochRecord(
        epoch=epoch,
        train_s=1.0,
        eval_s=0.0,
        source_val_accuracy=accuracy,
        target_val_accuracy=accuracy,
        target_val_loss=0.0,
        validators=validators or {},
    )
    return TrialResult(record, accuracy, done=epoch == epochs)
