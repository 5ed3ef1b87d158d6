"""The ranking of trials and epochs by the metric of a search."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from optuna.trial import TrialState

from adaptune.study.objective import Objective
from adaptune.study.trial import StudyEpoch, StudyTrial

_RANKED_STATES = (TrialState.COMPLETE, TrialState.PRUNED)


class Ranking:
    """Ranks the complete and pruned trials of one study, and their epochs.

    It remembers the best epochs of finished trials, which never change again: reading all epochs of
    thousands of trials takes seconds.

    Args:
        metric: the metric of the search.
    """

    def __init__(self, metric: str) -> None:
        self._metric = metric
        self._objective = Objective(metric)
        self._best_epochs: dict[int, StudyEpoch | None] = {}  # of finished trials

    def trials(
        self, trials: Sequence[StudyTrial], *, include_running: bool = False
    ) -> list[StudyTrial]:
        """Return the trials by their best epochs, best first.

        Args:
            trials: all trials of the study, in their order.
            include_running: whether the running trials are ranked, too.
        """
        scored = []
        for trial, best in self._candidates(trials, include_running=include_running):
            scored.append((self._score(best, best), trial))
        scored.sort(key=itemgetter(0), reverse=True)
        return [trial for _, trial in scored]

    def epochs(
        self, trials: Sequence[StudyTrial], *, include_running: bool = False
    ) -> list[tuple[StudyTrial, StudyEpoch]]:
        """Return the epochs with their trials, best first; the arguments are those of `trials`."""
        scored = []
        for trial, best in self._candidates(trials, include_running=include_running):
            for epoch in trial.epochs:
                scored.append((self._score(epoch, best), (trial, epoch)))
        scored.sort(key=itemgetter(0), reverse=True)
        return [candidate for _, candidate in scored]

    def _candidates(
        self, trials: Sequence[StudyTrial], *, include_running: bool
    ) -> list[tuple[StudyTrial, StudyEpoch]]:
        """Return the trials to rank, with their best epochs."""
        states = set(_RANKED_STATES)
        if include_running:
            states.add(TrialState.RUNNING)
        candidates = []
        for trial in trials:
            best = self._best_epoch(trial)
            if best is not None and trial.state in states:
                candidates.append((trial, best))
        return candidates

    def _best_epoch(self, trial: StudyTrial) -> StudyEpoch | None:
        """Return the best epoch of a trial; an objective of ranks gets to know all its epochs."""
        if trial.number in self._best_epochs:
            return self._best_epochs[trial.number]
        if self._objective.is_rank_based:
            for epoch in trial.epochs:
                self._objective.observe(trial.number, epoch.record)
        if trial.state.is_finished():
            self._best_epochs[trial.number] = trial.best_epoch
        return trial.best_epoch

    def _score(self, epoch: StudyEpoch, best: StudyEpoch) -> tuple[float, ...]:
        """Return what is higher for a better epoch.

        The workers of a trial kept the checkpoint of its best epoch. The rank among all trials
        decides between trials, and not between the epochs of one.

        Args:
            best: the best epoch of the same trial.
        """
        score = epoch.record.rank_key(self._metric)
        if not self._objective.is_rank_based:
            return score
        return (self._objective.value(best.record), *score)
