"""Deletion of checkpoints to stay within `checkpoint_budget_gb`."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from optuna.trial import TrialState

from adaptune.results.folder import ResultsFolder
from adaptune.search.callbacks.base import SearchCallback
from adaptune.search.protocol import TrialConfig
from adaptune.study.study import SearchStudy
from adaptune.training.record import EpochRecord

log = logging.getLogger(__name__)
_GB = 1e9


class CheckpointRetentionCallback(SearchCallback):
    """Deletes the least useful checkpoints while all checkpoints together exceed the budget.

    It never deletes the newest and the best checkpoint of a running trial, and the best of the
    search. (A rung needs none: ASHA only stops trials, and compares numbers that the study has.)

    Args:
        study: study of the search.
        folder: results folder.
        budget_gb: upper bound on all checkpoints together, in gigabytes; None is no bound.
    """

    def __init__(self, study: SearchStudy, folder: ResultsFolder, budget_gb: float | None) -> None:
        self._study = study
        self._folder = folder
        self._budget_gb = budget_gb
        self._sizes: dict[int, dict[int, int]] = {}  # bytes, by trial and epoch

    def on_epoch(self, config: TrialConfig, record: EpochRecord) -> None:
        """Enforce the budget after a trial has written a checkpoint."""
        self.enforce(config.number)

    def enforce(self, number: int) -> None:
        """Enforce the budget after trial `number` has written a checkpoint.

        Raises:
            OSError: the store does not answer.
        """
        if self._budget_gb is None:
            return
        self._refresh_sizes(number)
        removable = self._removable()
        while self._total_bytes() > self._budget_gb * _GB:
            checkpoint = next(removable, None)
            if checkpoint is None:
                log.warning(
                    "the checkpoints that are needed take %.2f GB, more than the budget of %.2f GB",
                    self._total_bytes() / _GB,
                    self._budget_gb,
                )
                return
            trial, epoch = checkpoint
            self._folder.checkpoints(trial).remove(epoch)
            del self._sizes[trial][epoch]

    def _refresh_sizes(self, number: int) -> None:
        """Read the sizes of this trial, and of trials whose sizes are not known yet."""
        for trial in self._study.started_trials():
            if trial.number not in self._sizes:
                self._sizes[trial.number] = self._folder.checkpoints(trial.number).sizes()
        self._sizes[number] = self._folder.checkpoints(number).sizes()

    def _total_bytes(self) -> int:
        return sum(sum(sizes.values()) for sizes in self._sizes.values())

    def _removable(self) -> Iterator[tuple[int, int]]:
        """Yield (trial, epoch) of the checkpoints that may be deleted, the least useful first.

        First those that no trial needs, then the best ones of ended trials, worst trial first.
        """
        trials = {trial.number: trial for trial in self._study.started_trials()}
        for number, trial in trials.items():
            epochs = list(self._sizes[number])
            needed = set()
            if trial.best_epoch is not None:
                needed.add(trial.best_epoch.number)
            if trial.state == TrialState.RUNNING:
                needed.add(max(epochs, default=0))
            for epoch in epochs:
                if epoch not in needed:
                    yield number, epoch
        ranked = [trial.number for trial in self._study.ranked_trials(include_running=True)]
        unranked = [number for number in trials if number not in ranked]
        worst_first = list(reversed(ranked))
        for number in [*unranked, *worst_first[:-1]]:
            if trials[number].state != TrialState.RUNNING:
                for epoch in list(self._sizes[number]):
                    yield number, epoch
