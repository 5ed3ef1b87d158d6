"""Detection of trials that wait for nodes in vain."""

from __future__ import annotations

from ray.tune.experiment import Trial

from adaptune.search.callbacks.base import SearchCallback
from adaptune.search.searcher import StudySearcher


class ShortageCallback(SearchCallback):
    """Lets the searcher check for a shortage at each step: Tune does not report one."""

    def __init__(self, searcher: StudySearcher) -> None:
        self._searcher = searcher

    def on_step_end(self, iteration: int, trials: list[Trial], **info: object) -> None:
        """Check whether trials wait in vain.

        Raises:
            WorkersNotStartedError: they have waited for too long.
        """
        any_running = any(trial.status == "RUNNING" for trial in trials)
        self._searcher.check_shortage(any_running=any_running)
