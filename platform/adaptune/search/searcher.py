"""Ray Tune searcher backed by an Optuna study; it keeps no state of its own."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial, Trial
from ray.tune.search import Searcher

from adaptune.cluster.shortage import IN_USE, NO_ROOM, Shortage
from adaptune.search.failure import SearchFailure, ends_search
from adaptune.search.protocol import OBJECTIVE, Death, TrialConfig, TrialResult
from adaptune.study.objective import Objective
from adaptune.study.study import SearchStudy
from adaptune.study.trial import TrialPlacement

MAX_EARLY_DEATHS = 3  # of processes, for each trial
# A trial that finds no workers for a minute is requeued: after this time, it has some.
_WORKERS_START_S = 180.0
Clock = Callable[[], float]


@dataclass(frozen=True)
class SearchBudget:
    """Extent of a search.

    Attributes:
        trials: number of trials in all.
        epochs: number of epochs of a trial that is not stopped.
        node_timeout_s: seconds to wait for nodes before the search gives up.
    """

    trials: int
    epochs: int
    node_timeout_s: float


class StudySearcher(Searcher):  # type: ignore[misc]  # Ray is untyped
    """Gives Tune the study's interrupted trials, then new ones, and stores their results.

    Fewer than `capacity(unfinished)` trials run at the same time, and `budget.trials` in all. A
    requeued trial, for whose workers the cluster had no room, is suggested again later.

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
        self._prior_trials: list[FrozenTrial] = []
        prior_trials = prior_trials or {}
        for trials in prior_trials.values():
            self._prior_trials += trials
        study.record_warm_start({folder: len(trials) for folder, trials in prior_trials.items()})
        self._interrupted = study.interrupted_trials()
        self._live: dict[str, _LiveTrial] = {}
        self._shortage = Shortage(budget.node_timeout_s, clock)
        self._contention = Shortage(budget.node_timeout_s, clock)  # while there are nodes
        self._deaths: dict[str, Death] = {}
        self._early_deaths: Counter[int] = Counter()  # by number of the trial

    def remaining(self) -> int:
        """Return the number of trials that have yet to start or to continue."""
        new = self._budget.trials - self._study.started
        return len(self._interrupted) + max(new, 0)

    @ends_search
    def suggest(self, trial_id: str) -> dict[str, object] | str | None:
        """Return the config of the next trial, None if there is none now, or FINISHED.

        Raises:
            WorkersNotStartedError: no trial could train for `budget.node_timeout_s`.
        """
        remaining = self.remaining()
        capacity = self._capacity(len(self._live) + remaining)
        if not remaining:
            # Tune does not ask again after FINISHED, but a running trial may yet be requeued.
            return None if self._live else str(Searcher.FINISHED)
        if not self._live and not capacity:
            self._shortage.note(NO_ROOM)
        self._check_timeout()
        if len(self._live) >= capacity:
            return None
        if self._interrupted:
            trial = self._study.resume_trial(self._interrupted.pop(0))
            start = None  # it started in an earlier session
        else:
            trial = self._study.ask(self._prior_trials)
            start = self._clock()
        self._live[trial_id] = _LiveTrial(trial, start, since=self._clock())
        return TrialConfig(trial.number, trial.params).to_tune()

    @ends_search
    def on_trial_result(self, trial_id: str, result: dict[str, object]) -> None:
        """Store the epoch of a running trial."""
        self._store_epoch(self._live[trial_id], TrialResult.from_tune(result))

    @ends_search
    def on_trial_complete(
        self, trial_id: str, result: dict[str, object] | None = None, error: bool = False
    ) -> None:
        """Store the result of a trial that ended, or keep it for later if it is requeued."""
        live = self._live[trial_id]
        trial_result = TrialResult.from_tune(result)
        self._store_epoch(live, trial_result)
        if trial_result.requeue_reason is not None:
            self._interrupted.append(live.trial)
            self._shortage.note(trial_result.requeue_reason)
            del self._live[trial_id]
            return
        message = trial_result.error
        if message is None and error:
            death = self._deaths.get(trial_id)
            if self._may_begin_again(live.trial, death):
                self._interrupted.append(live.trial)
                del self._live[trial_id]
                return
            message = "the trial's process died repeatedly"
            if death is not None:
                message += f", the last time of: {death.cause}"
        self._study.tell_result(
            live.trial,
            epochs=self._budget.epochs,
            error=message,
            wall_s=None if live.start is None else self._clock() - live.start,
            placement=self._placement,
        )
        del self._live[trial_id]  # now that the study has the result

    def note_death(self, trial_id: str, death: Death) -> None:
        """Note how a trial's process died, in case that Tune gives the trial up."""
        self._deaths[trial_id] = death

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

    def _store_epoch(self, live: _LiveTrial, result: TrialResult) -> None:
        record = result.record
        if record is None:
            return
        self._shortage.end()
        live.has_reported = True
        self._objective.observe(live.trial.number, record)
        self._study.add_epoch(live.trial, record, self._objective.value(record))

    def _may_begin_again(self, trial: Trial, death: Death | None) -> bool:
        """Return whether a trial is requeued whose process died before it took the trial."""
        if death is None or not death.is_early:
            return False
        self._early_deaths[trial.number] += 1
        return self._early_deaths[trial.number] <= MAX_EARLY_DEATHS

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
class _LiveTrial:
    trial: Trial
    start: float | None
    since: float  # when its process was there last
    has_reported: bool = False
