"""Ray's schedulers, driven by the epochs and objectives that the study stores."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, MedianStoppingRule, TrialScheduler

from adaptune.execution.cause import cause_of_death
from adaptune.search.failure import SearchFailure, ends_search
from adaptune.search.protocol import (
    EPOCH,
    OBJECTIVE,
    Death,
    GroupConfig,
    GroupResult,
    TrialResult,
)
from adaptune.search.ray_schedulers import RankedTrial, make_scheduler
from adaptune.spec.algorithms import Scheduler
from adaptune.study.objective import Objective
from adaptune.study.study import SearchStudy
from adaptune.training.record import EpochRecord


@dataclass(frozen=True)
class GroupHooks:
    """Effects of the scheduler's decisions outside of it.

    Attributes:
        end_trials: called with Tune's id of a group, and the numbers of trials that have ended
            although the group continues.
        note_death: called with Tune's id of a group and the death of its process.
        stop: lets the process of a group train trials no more.
    """

    end_trials: Callable[[str, Collection[int]], None] = lambda trial_id, numbers: None
    note_death: Callable[[str, Death], None] = lambda trial_id, death: None
    stop: Callable[[Trial, Collection[int]], None] = lambda trial, numbers: None


class StudyScheduler(FIFOScheduler):  # type: ignore[misc]  # Ray is untyped
    """One of Ray's schedulers, which decides on each trial of a group by itself.

    It also knows the epochs of earlier sessions. Ray's scheduler is only used through its public
    methods. Where its past has to change, a new one replays the epochs: when a group is requeued,
    and before each decision if the objective ranks epochs among each other.

    Args:
        scheduler: options of the scheduler.
        epochs: number of epochs of a trial that is not stopped.
        study: study with the epochs of earlier sessions.
        objective: objective of the search; it observes the epochs of the study here.
        failure: where an unexpected error is kept.
        hooks: what happens to a group outside of the scheduler.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        epochs: int,
        study: SearchStudy,
        objective: Objective,
        failure: SearchFailure | None = None,
        hooks: GroupHooks = GroupHooks(),
    ) -> None:
        super().__init__()
        self.failure = failure or SearchFailure()
        self._hooks = hooks
        self._options = scheduler
        self._epochs = epochs
        self._study = study
        self._objective = objective
        self._trials: dict[int, RankedTrial] = {}
        self._history: dict[int, dict[int, EpochRecord]] = {}  # by trial and epoch
        # Epochs of trials that have not ended and have not reported since, from earlier runs.
        self._unfinished: dict[int, list[EpochRecord]] = {}
        self._stopped: set[int] = set()  # before a kill that came before their end was stored
        for past in study.started_trials():
            records = {epoch.number: epoch.record for epoch in past.epochs}
            for record in records.values():
                objective.observe(past.number, record)
            if past.state.is_finished():
                self._trials[past.number] = RankedTrial(f"trial-{past.number}", past.number)
                self._history[past.number] = records
            else:
                self._unfinished[past.number] = list(records.values())
                if past.epochs and past.epochs[-1].is_last:
                    self._stopped.add(past.number)
        self._inner = self._replayed_scheduler()

    @ends_search
    def on_trial_add(self, tune_controller: object, trial: Trial) -> None:
        """Add the trials of a group; Tune adds one again whose process died and is restarted."""
        for number in GroupConfig.from_tune(trial.config).running_numbers:
            if number not in self._trials:
                self._trials[number] = RankedTrial(f"trial-{number}", number)
                self._history[number] = {}
            self._inner.on_trial_add(tune_controller, self._trials[number])

    @ends_search
    def on_trial_result(
        self, tune_controller: object, trial: Trial, result: dict[str, object]
    ) -> str:
        """Return whether a group continues, after Ray's decisions on the epochs of its trials."""
        config = GroupConfig.from_tune(trial.config)
        stopped = []
        ended = set()
        for number, trial_result in GroupResult.from_tune(result).trials.items():
            if trial_result.done:
                self._complete(number, trial_result)
                ended.add(number)
            elif self._decide(number, trial_result.record) == TrialScheduler.STOP:
                self._inner.on_trial_remove(tune_controller, self._trials[number])
                stopped.append(number)
        ended.update(stopped)
        if ended:
            config = self._note_ended(trial, config, ended)
        if not config.running:
            return str(TrialScheduler.STOP)
        if stopped:
            self._hooks.stop(trial, stopped)
        if ended:
            self._hooks.end_trials(trial.trial_id, ended)
        return str(TrialScheduler.CONTINUE)

    @ends_search
    def on_trial_complete(
        self, tune_controller: object, trial: Trial, result: dict[str, object]
    ) -> None:
        """End a group, or forget it if it is requeued."""
        config = GroupConfig.from_tune(trial.config)
        group_result = GroupResult.from_tune(result)
        if group_result.requeue_reason is not None:
            self._requeue(config)
            return
        for number, trial_result in group_result.trials.items():
            if number not in config.ended:  # otherwise Tune passes its last epoch again
                self._complete(number, trial_result)
        self._note_ended(trial, config, group_result.trials)

    @ends_search
    def on_trial_remove(self, tune_controller: object, trial: Trial) -> None:
        """Remove a group that was stopped."""
        for number in GroupConfig.from_tune(trial.config).running_numbers:
            self._inner.on_trial_remove(tune_controller, self._trials[number])

    @ends_search
    def on_trial_error(self, tune_controller: object, trial: Trial) -> None:
        """Pass on that a group's process died; Tune may start another one.

        If a process dies between two groups, Tune gives the second one up, which has not begun.
        """
        config = GroupConfig.from_tune(trial.config)
        cause = cause_of_death(trial)
        is_early = trial.status == Trial.PENDING
        self._hooks.note_death(trial.trial_id, Death(cause, is_early))
        if is_early:
            self._requeue(config)
            return
        last_epoch = 0
        for number in config.running_numbers:
            last_epoch = max([last_epoch, *self._history[number]])
        # Tune starts the next process of the group with it.
        trial.set_config(replace(config, death=cause, death_epoch=last_epoch).to_tune())
        for number in config.running_numbers:
            self._inner.on_trial_error(tune_controller, self._trials[number])

    def _decide(self, number: int, record: EpochRecord | None) -> str:
        """Return Ray's decision on an epoch of a trial, unless a person has stopped the trial.

        New workers report the last epoch of the lost ones again: it was decided then.
        """
        if record is None:
            return str(TrialScheduler.CONTINUE)
        self._replay_past(number)
        if record.epoch in self._history[number]:
            was_stopped = number in self._stopped or self._study.steering.is_stopped(number)
            return str(TrialScheduler.STOP if was_stopped else TrialScheduler.CONTINUE)
        self._objective.observe(number, record)
        if self._objective.is_rank_based:
            self._inner = self._replayed_scheduler()
        result = self._add(number, record)
        decision = self._inner.on_trial_result(None, self._trials[number], result)
        value, stops = self._objective.value(record), decision == TrialScheduler.STOP
        stops = self._study.curves.stops(number, record.epoch, value, otherwise=stops)
        stops = stops or self._study.steering.is_stopped(number)
        return str(TrialScheduler.STOP if stops else TrialScheduler.CONTINUE)

    def _complete(self, number: int, result: TrialResult) -> None:
        """End a trial that ended by itself: after its last epoch, or with an error."""
        record = result.record
        self._replay_past(number)
        if record is None or record.epoch in self._history[number]:
            self._inner.on_trial_remove(None, self._trials[number])
        else:
            self._objective.observe(number, record)
            result_of_ray = self._add(number, record)
            self._inner.on_trial_complete(None, self._trials[number], result_of_ray)

    def _note_ended(
        self, trial: Trial, config: GroupConfig, numbers: Collection[int]
    ) -> GroupConfig:
        """Let Tune start the next process of a group without the trials that have ended."""
        config = replace(config, ended=config.ended.union(numbers))
        trial.set_config(config.to_tune())
        return config

    def _requeue(self, config: GroupConfig) -> None:
        """Forget the trials of a group, which come again under another of Tune's ids."""
        for number in config.running_numbers:
            del self._trials[number]
            reported = self._history.pop(number)
            self._unfinished[number] = [*self._unfinished.pop(number, []), *reported.values()]
        self._inner = self._replayed_scheduler()

    def _replay_past(self, number: int) -> None:
        """Replay the epochs of a continued trial, which were decided in earlier runs."""
        for record in self._unfinished.pop(number, []):
            self._add(number, record)
            self._replay(self._inner, self._trials[number], record)

    def _add(self, number: int, record: EpochRecord) -> dict[str, object]:
        """Store an epoch, and return it as Ray's scheduler reads it."""
        self._history[number][record.epoch] = record
        return self._tune_result(record)

    def _tune_result(self, record: EpochRecord) -> dict[str, object]:
        return {EPOCH: record.epoch, OBJECTIVE: self._objective.rung_value(record)}

    def _replayed_scheduler(self) -> TrialScheduler:
        """Return a new scheduler of Ray's that has all epochs, with their present values."""
        scheduler = make_scheduler(self._options, self._epochs)
        for number, records in self._history.items():
            trial = self._trials[number]
            scheduler.on_trial_add(None, trial)
            for record in records.values():
                self._replay(scheduler, trial, record)
        return scheduler

    def _replay(self, scheduler: TrialScheduler, trial: RankedTrial, record: EpochRecord) -> None:
        result = self._tune_result(record)
        if isinstance(scheduler, MedianStoppingRule):
            # Records the epoch without a decision: a trial that would be stopped by the present
            # values must not be refused its later epochs.
            scheduler.on_trial_complete(None, trial, result)
        else:
            scheduler.on_trial_result(None, trial, result)


def stop_in_process(trial: Trial, numbers: Collection[int]) -> None:
    """Let the process of a group train trials no more; Tune asks it for the next epoch later."""
    trial.temporary_state.ray_actor.stop_trials.remote(list(numbers))
