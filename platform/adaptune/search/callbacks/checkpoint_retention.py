"""`storage.checkpoint_budget_gb`: what of a search's checkpoints can be done without."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import optuna
from optuna.trial import TrialState

from adaptune.results.folder import ResultsFolder
from adaptune.search import study as studies
from adaptune.search.trial import checkpoint_folder
from adaptune.spec.schema import SearchSpec

log = logging.getLogger(__name__)
_GB = 1e9


class CheckpointRetention:
    """Removes checkpoints while they are more than the budget, those first that are missed least.

    Never removed: the newest and the best of a trial that is under way, and the best of the search. (A rung
    needs none: ASHA only ever stops a trial, and compares numbers that the study has.)
    """

    def __init__(self, spec: SearchSpec, study: optuna.Study, folder: ResultsFolder) -> None:
        self._spec = spec
        self._study = study
        self._folder = folder
        self._sizes: dict[int, dict[int, int]] = {}  # by trial and epoch, in bytes

    def enforce(self, number: int) -> None:
        """To be called when trial `number` has written a checkpoint.

        Raises:
            OSError: the store does not answer.
        """
        limit = self._spec.storage.checkpoint_budget_gb
        if limit is None:
            return
        for known in {
            number,
            *(trial.number for trial in studies.started(self._study)),
        } - self._sizes.keys():
            self._sizes[known] = {}
            self._look(known)
        self._look(number)
        dispensable = self._dispensable()
        while (held := self._held()) > limit * _GB:
            found = next(dispensable, None)
            if found is None:
                log.warning(
                    "the checkpoints that are needed take %.2f GB of a budget of %.2f GB",
                    held / _GB,
                    limit,
                )
                return
            trial, epoch = found
            checkpoint_folder(self._spec, trial, self._folder).remove(epoch)
            del self._sizes[trial][epoch]

    def _look(self, number: int) -> None:
        self._sizes[number] = checkpoint_folder(self._spec, number, self._folder).sizes()

    def _held(self) -> int:
        return sum(sum(sizes.values()) for sizes in self._sizes.values())

    def _dispensable(self) -> Iterator[tuple[int, int]]:
        """(trial, epoch) of what may go: first what no trial needs, then the bests of ended trials, worst first."""
        trials = {trial.number: trial for trial in studies.started(self._study)}
        metric = self._spec.search.metric
        bests = {
            number: (studies.best_record(trial, metric) or {}).get("epoch")
            for number, trial in trials.items()
        }
        for number, trial in trials.items():
            epochs = list(self._sizes[number])
            needed = {bests[number]} | (
                {max(epochs, default=0)} if trial.state == TrialState.RUNNING else set()
            )
            yield from ((number, epoch) for epoch in epochs if epoch not in needed)
        worst_first = [
            trial.number for trial in reversed(studies.ranked(self._study, running=True))
        ]
        failed = [number for number in trials if number not in worst_first]
        for number in [*failed, *worst_first[:-1]]:
            if trials[number].state != TrialState.RUNNING:
                yield from ((number, epoch) for epoch in list(self._sizes[number]))
