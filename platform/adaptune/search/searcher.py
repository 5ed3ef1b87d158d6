"""Ray Tune searcher backed by an Optuna study; it keeps no state of its own."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from optuna.trial import FrozenTrial, Trial
from ray.tune.search import Searcher

from adaptune.cluster.shortage import IN_USE, NO_ROOM, Shortage
from adaptune.search.failure import SearchFailure, ends_search
from adaptune.search.protocol import (
    OBJECTIVE,
    Death,
    GroupConfig,
    GroupResult,
    TrialConfig,
    TrialResult,
)
from adaptune.study.budget import SearchBudget
from adaptune.study.objective import Objective
from adaptune.study.study import SearchStudy
from adaptune.study.trial import TrialPlacement

MAX_EARLY_DEATHS = 3  # of processes, for each trial
# A trial that finds no workers for a minute is requeued: after this time, it has some.
_WORKERS_START_S = 180.0
Clock = Callable[[], float]


class StudySearcher(Searcher):  # type: ignore[misc]  # Ray is untyped
    """Gives Tune the study's interrupted trials, then new ones, and stores their results.

    What Tune calls a trial is a group of trials that share a GAN. Fewer than `capacity(unfinished)`
    groups run at the same time, and `budget.trials` trials in all, and those that were requested.
    A requeued group, for whose workers the cluster had no room, is suggested again later.

    Args:
        study: study of the search.
        objective: objective of the search.
        budget: extent of the search.
        capacity: function from the number of unfinished trials to the number that may run.
        prior_trials: trials of earlier searches that the sampler learns from, by results folder.
        clock: monotonic clock in seconds.
        placement: runner and workers of the trials, stored with each of them.

    Attributes:
        failure: first unexpected error of the search.
    """

    def __init__(
        self,
        study: SearchStudy,
        objective: Objective,
        budget: SearchBudget,
        capacity: Callable[[int], int],
        prior_trials: Mapping[str, Sequence[FrozenTrial]] | None = None,
        clock: Clock = time.perf_counter,
        placement: TrialPlacement | None = None,
    ) -> None:
        super().__init__(metric=OBJECTIVE, mode="max")
        self._study = study
        self._objective = objective
        self._budget = budget
        self._capacity = capacity
        self._clock = clock
        self._placement = placement
        self.failure = SearchFailure()
        prior_trials = prior_trials or {}
        self._prior_trials = list(chain.from_iterable(prior_trials.values()))
        study.record_warm_start({folder: len(trials) for folder, trials in prior_trials.items()})
        self._interrupted = study.interrupted_groups(self._prior_trials)
        self._live: dict[str, _LiveGroup] = {}
        self._ended: dict[str, Collection[int]] = {}  # trials whose group continues
        self._shortage = Shortage(budget.node_timeout_s, clock)
        self._contention = Shortage(budget.node_timeout_s, clock)  # while there are nodes
        self._deaths: dict[str, Death] = {}
        self._early_deaths: Counter[int] = Counter()  # by number of the trial

    def remaining(self) -> int:
        """Return the number of trial groups that have yet to start or to continue."""
        return len(self._interrupted) + math.ceil(self._unstarted() / self._budget.group_size)

    def _unstarted(self) -> int:
        trials = self._study.steering.trials(self._budget.trials)
        return max(trials - self._study.started, 0)

    @ends_search
    def suggest(self, trial_id: str) -> dict[str, object] | str | None:
        """Return the config of the next trial group, None if there is none now, or FINISHED.

        Raises:
            WorkersNotStartedError: no trial could train for `budget.node_timeout_s`.
        """
        remaining = self.remaining()
        capacity = self._capacity(len(self._live) + remaining)
        if not remaining:
            # Tune does not ask again after FINISHED, but a running group may yet be requeued.
            return None if self._live else str(Searcher.FINISHED)
        if not self._live and not capacity:
            self._shortage.note(NO_ROOM)
        self._check_timeout()
        if len(self._live) >= capacity:
            return None
        if self._interrupted:
            group = self._interrupted.pop(0)
            start = None  # it started in an earlier session
        else:
            limit = self._unstarted()
            size = min(self._budget.group_size, limit)
            group = self._study.ask_group(size, self._prior_trials, limit=limit)
            start = self._clock()
        live = _LiveGroup({trial.number: trial for trial in group}, start, since=self._clock())
        self._live[trial_id] = live
        trials = [self._study.trial(trial.number) for trial in group]
        configs = tuple(TrialConfig(trial.number, trial.values) for trial in trials)
        return GroupConfig(configs, trials[0].leader).to_tune()

    @ends_search
    def on_trial_result(self, trial_id: str, result: dict[str, object]) -> None:
        """Store the epoch of a running group, and the results of its trials that have ended."""
        live = self._live[trial_id]
        group_result = GroupResult.from_tune(result)
        ended = self._ended.pop(trial_id, ())
        self._store_epochs(live, group_result, ended)
        self._tell(live, {number: group_result.trials[number].error for number in ended})

    @ends_search
    def on_trial_complete(
        self, trial_id: str, result: dict[str, object] | None = None, error: bool = False
    ) -> None:
        """Store the results of a group that ended, or keep it for later if it is requeued."""
        live = self._live[trial_id]
        group_result = GroupResult.from_tune(result)
        self._store_epochs(live, group_result, live.trials)
        if group_result.requeue_reason is not None:
            self._interrupted.append(list(live.trials.values()))
            self._shortage.note(group_result.requeue_reason)
            del self._live[trial_id]
            return
        message = None
        if error:
            death = self._deaths.get(trial_id)
            if self._may_begin_again(live, death):
                self._interrupted.append(list(live.trials.values()))
                del self._live[trial_id]
                return
            message = "the trial's process died repeatedly"
            if death is not None:
                message += f", the last time of: {death.cause}"
        errors = {}
        for number in live.trials:
            trial_result = group_result.trials.get(number, TrialResult())
            errors[number] = trial_result.error or message
        self._tell(live, errors)
        del self._live[trial_id]  # now that the study has the results

    def note_death(self, trial_id: str, death: Death) -> None:
        """Note how a group's process died, in case that Tune gives the group up."""
        self._deaths[trial_id] = death

    def end_trials(self, trial_id: str, numbers: Collection[int]) -> None:
        """Note that trials have ended whose group continues; their results come with the epoch."""
        self._ended[trial_id] = numbers

    def check_shortage(self, *, any_running: bool) -> str | None:
        """Check whether trials wait for nodes in vain; to be called at each step of Tune.

        A trial whose node was lost waits without any call of `suggest`.

        Args:
            any_running: whether Tune runs a trial.

        Returns:
            A line for the user if trials have waited for a while.

        Raises:
            WorkersNotStartedError: see `suggest`.
        """
        self.failure.check()
        if any_running or not self._live:
            self._contention.end()
            return None
        if self._capacity(len(self._live) + self.remaining()):
            self._contention.note(IN_USE)
            self._contention.check()
            return self._contention.notice
        self._contention.end()
        for live in self._live.values():
            live.has_reported = False
            live.since = self._clock()
        self._shortage.note(NO_ROOM)
        self._check_timeout()
        return self._shortage.notice

    def _store_epochs(self, live: _LiveGroup, result: GroupResult, ended: Collection[int]) -> None:
        for number, record in result.records().items():
            if number not in live.trials:  # it ended before: Tune passes its last epoch again
                continue
            self._shortage.end()
            live.has_reported = True
            self._objective.observe(number, record)
            value = self._objective.value(record)
            self._study.add_epoch(live.trials[number], record, value, is_last=number in ended)

    def _tell(self, live: _LiveGroup, errors: Mapping[int, str | None]) -> None:
        """Store the results of trials that have ended, by number; failed ones first.

        The last checkpoint lacks those. If one of them continued after a kill, its group would
        repeat the epoch, and write the checkpoint without the others that have ended.
        """
        for number in sorted(errors, key=lambda number: errors[number] is None):
            self._study.tell_result(
                live.trials[number],
                epochs=self._budget.epochs,
                error=errors[number],
                wall_s=None if live.start is None else self._clock() - live.start,
                placement=self._placement,
            )
            del live.trials[number]

    def _may_begin_again(self, live: _LiveGroup, death: Death | None) -> bool:
        """Return whether a group is requeued whose process died before it took the group."""
        if death is None or not death.is_early:
            return False
        number = min(live.trials)
        self._early_deaths[number] += 1
        return self._early_deaths[number] <= MAX_EARLY_DEATHS

    def _check_timeout(self) -> None:
        """Check the shortage unless a trial trains; the watchdog bounds that one."""
        have_workers = self._clock() - _WORKERS_START_S
        live = self._live.values()
        if not any(trial.has_reported or trial.since < have_workers for trial in live):
            self._shortage.check()

    def save_to_dir(self, *_: object) -> None:
        """Save nothing: the study is stored at every moment, and Tune reads nothing back."""

    save = restore = save_to_dir


@dataclass
class _LiveGroup:
    """A trial group that Tune has.

    Attributes:
        trials: its trials that have not ended, by number.
        start: time at which it started; None if it started in an earlier session.
        since: time since which Tune has it, or could have started its workers.
        has_reported: whether it has reported an epoch since.
    """

    trials: dict[int, Trial]
    start: float | None
    since: float
    has_reported: bool = False
