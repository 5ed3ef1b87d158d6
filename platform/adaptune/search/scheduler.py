"""Ray's schedulers, driven by the epochs and objectives that the study stores."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from ray.tune.experiment import Trial
from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    MedianStoppingRule,
    TrialScheduler,
)

from adaptune.execution.cause import cause_of_death
from adaptune.search.failure import SearchFailure, ends_search
from adaptune.search.protocol import EPOCH, OBJECTIVE, Death, TrialConfig, TrialResult
from adaptune.spec.algorithms import Asha, Hyperband, Median, NoScheduler, Scheduler
from adaptune.study.objective import Objective
from adaptune.study.study import SearchStudy
from adaptune.training.record import EpochRecord

_TUNE_OPTIONS = {"time_attr": EPOCH, "metric": OBJECTIVE, "mode": "max"}


@dataclass(frozen=True, eq=False)
class PastTrial:
    """A trial of an earlier session, as Ray's schedulers see it."""

    trial_id: str
    config: dict[str, object]


class StudyScheduler(FIFOScheduler):  # type: ignore[misc]  # Ray is untyped
    """One of Ray's schedulers, which also knows the epochs of earlier sessions.

    Ray's scheduler is only used through its public methods. Where its past has to change, a new one
    replays the epochs: when a trial is requeued, and before each decision if the objective ranks
    epochs among each other.

    Args:
        scheduler: options of the scheduler.
        epochs: number of epochs of a trial that is not stopped.
        study: study with the epochs of earlier sessions.
        objective: objective of the search; it observes the epochs of the study here.
        failure: where an unexpected error is kept.
        note_death: called with Tune's id of a trial and the death of its process.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        epochs: int,
        study: SearchStudy,
        objective: Objective,
        failure: SearchFailure | None = None,
        note_death: Callable[[str, Death], None] = lambda trial_id, death: None,
    ) -> None:
        super().__init__()
        self.failure = failure or SearchFailure()
        self._note_death = note_death
        self._options = scheduler
        self._epochs = epochs
        self._objective = objective
        self._history: dict[Trial | PastTrial, dict[int, EpochRecord]] = {}  # by epoch
        # Epochs that interrupted and requeued trials reported before, by number of the trial.
        self._unfinished: dict[int, list[EpochRecord]] = {}
        # The same of trials that run again but have not reported since, by Tune's id.
        self._pending_replay: dict[str, list[EpochRecord]] = {}
        for past in study.started_trials():
            records = {epoch.number: epoch.record for epoch in past.epochs}
            for record in records.values():
                objective.observe(past.number, record)
            if past.state.is_finished():
                config = TrialConfig(past.number, past.values)
                self._history[PastTrial(f"past-{past.number}", config.to_tune())] = records
            else:
                self._unfinished[past.number] = list(records.values())
        self._inner = self._replayed_scheduler()

    @ends_search
    def on_trial_add(self, tune_controller: object, trial: Trial) -> None:
        """Add a trial; Tune adds one again whose process died and is restarted."""
        if trial not in self._history:
            number = TrialConfig.from_tune(trial.config).number
            self._history[trial] = {}
            self._pending_replay[trial.trial_id] = self._unfinished.pop(number, [])
        self._inner.on_trial_add(tune_controller, trial)

    @ends_search
    def on_trial_result(
        self, tune_controller: object, trial: Trial, result: dict[str, object]
    ) -> str:
        """Return Ray's decision on an epoch."""
        record = TrialResult.from_tune(result).record
        if record is None or record.epoch in self._history[trial]:
            # New workers report the last epoch of the lost ones again: it was decided then.
            return str(TrialScheduler.CONTINUE)
        self._replay_past(trial, before=record.epoch)
        self._objective.observe(TrialConfig.from_tune(trial.config).number, record)
        if self._objective.is_rank_based:
            self._inner = self._replayed_scheduler()
        return str(self._inner.on_trial_result(None, trial, self._add(trial, record)))

    @ends_search
    def on_trial_complete(
        self, tune_controller: object, trial: Trial, result: dict[str, object]
    ) -> None:
        """End a trial, or forget it if it is requeued."""
        trial_result = TrialResult.from_tune(result)
        record = trial_result.record
        if trial_result.requeue_reason is not None:
            self._requeue(trial)
        elif record is None:  # it failed: there is no further epoch to compare
            self._replay_past(trial, before=math.inf)
            self._inner.on_trial_remove(tune_controller, trial)
        elif record.epoch in self._history[trial]:  # stopped: Tune passes its last epoch again
            self._inner.on_trial_remove(tune_controller, trial)
        else:
            self._replay_past(trial, before=record.epoch)
            self._objective.observe(TrialConfig.from_tune(trial.config).number, record)
            self._inner.on_trial_complete(tune_controller, trial, self._add(trial, record))

    @ends_search
    def on_trial_remove(self, tune_controller: object, trial: Trial) -> None:
        """Remove a trial that was stopped."""
        self._inner.on_trial_remove(tune_controller, trial)

    @ends_search
    def on_trial_error(self, tune_controller: object, trial: Trial) -> None:
        """Pass on that a trial's process died; Tune may start another one.

        If a process dies between two trials, Tune gives the second one up, which has not begun.
        """
        config = TrialConfig.from_tune(trial.config)
        cause = cause_of_death(trial)
        is_early = trial.status == Trial.PENDING
        self._note_death(trial.trial_id, Death(cause, is_early))
        if is_early:
            self._requeue(trial)
            return
        last_epoch = max(self._history[trial], default=0)
        # Tune starts the next process of the trial with it.
        trial.set_config(replace(config, death=cause, death_epoch=last_epoch).to_tune())
        self._inner.on_trial_error(tune_controller, trial)

    def _requeue(self, trial: Trial) -> None:
        """Forget a trial that comes again under another of Tune's ids."""
        number = TrialConfig.from_tune(trial.config).number
        reported = self._history.pop(trial)
        self._unfinished[number] = [
            *self._pending_replay.pop(trial.trial_id, []),
            *reported.values(),
        ]
        self._inner = self._replayed_scheduler()

    def _replay_past(self, trial: Trial, before: float) -> None:
        """Replay the epochs of a continued trial whose decision was made in earlier runs.

        A resumed trial reports its last epoch again, or the next one if it was interrupted between
        checkpoint and report; the decision on that one is made now.
        """
        for record in self._pending_replay.pop(trial.trial_id, []):
            if record.epoch < before:
                self._add(trial, record)
                self._replay(self._inner, trial, record)

    def _add(self, trial: Trial, record: EpochRecord) -> dict[str, object]:
        """Store an epoch, and return it as Ray's scheduler reads it."""
        self._history[trial][record.epoch] = record
        return self._tune_result(record)

    def _tune_result(self, record: EpochRecord) -> dict[str, object]:
        return {EPOCH: record.epoch, OBJECTIVE: self._objective.value(record)}

    def _replayed_scheduler(self) -> TrialScheduler:
        """Return a new scheduler of Ray's that has all epochs, with their present values."""
        scheduler = make_scheduler(self._options, self._epochs)
        for trial, records in self._history.items():
            scheduler.on_trial_add(None, trial)
            for record in records.values():
                self._replay(scheduler, trial, record)
        return scheduler

    def _replay(
        self, scheduler: TrialScheduler, trial: Trial | PastTrial, record: EpochRecord
    ) -> None:
        result = self._tune_result(record)
        if isinstance(scheduler, MedianStoppingRule):
            # Records the epoch without a decision: a trial that would be stopped by the present
            # values must not be refused its later epochs.
            scheduler.on_trial_complete(None, trial, result)
        else:
            scheduler.on_trial_result(None, trial, result)


class BracketedScheduler(FIFOScheduler):  # type: ignore[misc]
    """Asynchronous Hyperband: one ASHA per bracket, which trials join in turn by their numbers.

    Ray's own draws the bracket from NumPy's global generator.
    """

    def __init__(self, options: Hyperband, epochs: int) -> None:
        super().__init__()
        self._brackets = []
        for bracket in range(options.brackets):
            grace_epochs = min(options.grace_epochs, epochs) * options.reduction_factor**bracket
            self._brackets.append(_asha(grace_epochs, options.reduction_factor, epochs))

    def on_trial_add(self, tune_controller: object, trial: Trial) -> None:
        """Add a trial to its bracket."""
        self._bracket(trial).on_trial_add(tune_controller, trial)

    def on_trial_result(
        self, tune_controller: object, trial: Trial, result: dict[str, object]
    ) -> str:
        """Return the decision of the trial's bracket."""
        return str(self._bracket(trial).on_trial_result(tune_controller, trial, result))

    def on_trial_complete(
        self, tune_controller: object, trial: Trial, result: dict[str, object]
    ) -> None:
        """End a trial in its bracket."""
        self._bracket(trial).on_trial_complete(tune_controller, trial, result)

    def on_trial_remove(self, tune_controller: object, trial: Trial) -> None:
        """Remove a trial from its bracket."""
        self._bracket(trial).on_trial_remove(tune_controller, trial)

    def _bracket(self, trial: Trial) -> TrialScheduler:
        number = TrialConfig.from_tune(trial.config).number
        return self._brackets[number % len(self._brackets)]


def make_scheduler(options: Scheduler, epochs: int) -> TrialScheduler:
    """Return Ray's scheduler with these options, without any past.

    Args:
        epochs: number of epochs of a trial that is not stopped.
    """
    match options:
        case Asha(grace_epochs=grace_epochs, reduction_factor=factor):
            return _asha(min(grace_epochs, epochs), factor, epochs)
        case Hyperband():
            return BracketedScheduler(options, epochs)
        case Median(grace_epochs=grace_epochs, min_trials=min_trials):
            return MedianStoppingRule(
                **_TUNE_OPTIONS,
                grace_period=grace_epochs,
                min_samples_required=min_trials,
                # Otherwise a trial would yield to waiting ones until there are enough to compare.
                min_time_slice=math.inf,
            )
        case NoScheduler():
            return FIFOScheduler()


def _asha(grace_epochs: float, factor: float, epochs: int) -> TrialScheduler:
    if grace_epochs > epochs:  # a bracket without a rung
        return FIFOScheduler()
    return AsyncHyperBandScheduler(
        **_TUNE_OPTIONS, max_t=epochs, grace_period=grace_epochs, reduction_factor=factor
    )
