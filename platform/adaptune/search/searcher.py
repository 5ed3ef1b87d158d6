"""Ray Tune searcher backed by an Optuna study; it keeps no state of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial, Trial
from ray.tune.search import Searcher

from adaptune.errors import WorkersNotStartedError
from adaptune.search.protocol import OBJECTIVE, TrialConfig, TrialResult
from adaptune.study.objective import Objective
from adaptune.study.study import SearchStudy

Clock = Callable[[], float]
NO_ROOM = "no node has room for a trial"


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
    """

    def __init__(
        self,
        study: SearchStudy,
        objective: Objective,
        budget: SearchBudget,
        capacity: Callable[[int], int],
        prior_trials: Mapping[str, Sequence[FrozenTrial]] | None = None,
        clock: Clock = time.perf_counter,
    ) -> None:
        super().__init__(metric=OBJECTIVE, mode="max")
        self._study = study
        self._objective = objective
        self._budget = budget
        self._capacity = capacity
        self._clock = clock
        self._prior_trials: list[FrozenTrial] = []
        prior_trials = prior_trials or {}
        for trials in prior_trials.values():
            self._prior_trials += trials
        study.record_warm_start({folder: len(trials) for folder, trials in prior_trials.items()})
        self._interrupted = study.interrupted_trials()
        self._live: dict[str, _LiveTrial] = {}
        self._shortage = ""  # why the trials that wait have no workers
        self._shortage_since: float | None = None

    def remaining(self) -> int:
        """Return the number of trials that have yet to start or to continue."""
        new = self._budget.trials - self._study.started
        return len(self._interrupted) + max(new, 0)

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
            self._note_shortage(NO_ROOM)
        self._check_timeout()
        if len(self._live) >= capacity:
            return None
        if self._interrupted:
            trial = self._study.resume_trial(self._interrupted.pop(0))
            start = None  # it started in an earlier session
        else:
            trial = self._study.ask(self._prior_trials)
            start = self._clock()
        self._live[trial_id] = _LiveTrial(trial, start)
        return TrialConfig(trial.number, trial.params).to_tune()

    def on_trial_result(self, trial_id: str, result: dict[str, object]) -> None:
        """Store the epoch of a running trial."""
        self._store_epoch(self._live[trial_id], TrialResult.from_tune(result))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, object] | None = None, error: bool = False
    ) -> None:
        """Store the result of a trial that ended, or keep it for later if it is requeued."""
        trial_result = TrialResult.from_tune(result)
        self._store_epoch(self._live[trial_id], trial_result)
        live = self._live.pop(trial_id)
        if trial_result.requeue_reason is not None:
            self._interrupted.append(live.trial)
            self._note_shortage(trial_result.requeue_reason)
            return
        message = trial_result.error
        if message is None and error:
            message = "the trial's process died repeatedly"
        self._study.tell_result(
            live.trial,
            epochs=self._budget.epochs,
            error=message,
            wall_s=None if live.start is None else self._clock() - live.start,
        )

    def check_shortage(self, *, any_running: bool) -> None:
        """Check whether trials wait for nodes in vain; to be called at each step of Tune.

        A trial whose node was lost waits without any call of `suggest`.

        Args:
            any_running: whether Tune runs a trial.

        Raises:
            WorkersNotStartedError: see `suggest`.
        """
        if any_running or not self._live:
            return
        if not self._capacity(len(self._live) + self.remaining()):
            for live in self._live.values():
                live.has_reported = False
            self._note_shortage(NO_ROOM)
            self._check_timeout()

    def _store_epoch(self, live: _LiveTrial, result: TrialResult) -> None:
        record = result.record
        if record is None:
            return
        self._shortage_since = None
        live.has_reported = True
        self._objective.observe(live.trial.number, record)
        self._study.add_epoch(live.trial, record, self._objective.value(record))

    def _note_shortage(self, reason: str) -> None:
        self._shortage = reason
        if self._shortage_since is None:
            self._shortage_since = self._clock()

    def _check_timeout(self) -> None:
        if self._shortage_since is None:
            return
        if any(live.has_reported for live in self._live.values()):
            return
        timeout_s = self._budget.node_timeout_s
        if self._clock() - self._shortage_since > timeout_s:
            raise WorkersNotStartedError(
                f"no trial could train for {timeout_s:g} s: {self._shortage}\nFinished trials are"
                " kept, and the same command with --resume continues; resources.wait_for_nodes_s"
                " sets how long to wait"
            )

    # The study is stored at every moment: Tune has nothing to save, and reads nothing back.

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Save nothing."""

    def save(self, checkpoint_path: str) -> None:
        """Save nothing."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing."""


@dataclass
class _LiveTrial:
    trial: Trial
    start: float | None
    has_reported: bool = False
