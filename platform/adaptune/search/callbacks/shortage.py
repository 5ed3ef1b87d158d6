"""Detection of trials that wait for nodes in vain, and of errors that Tune keeps to itself."""

from __future__ import annotations

from collections.abc import Sequence

from ray.tune.experiment import Trial
from rich.console import Console

from adaptune.search.callbacks.base import SearchCallback
from adaptune.search.searcher import StudySearcher


class ShortageCallback(SearchCallback):
    """Lets the searcher end the search at each step, for reasons that Tune does not report.

    Args:
        searcher: the searcher.
        console: where a long wait is printed.
    """

    is_essential = True

    def __init__(self, searcher: StudySearcher, console: Console) -> None:
        self._searcher = searcher
        self._console = console
        self._notice: str | None = None

    def on_step(self, trials: Sequence[Trial]) -> None:
        """Check whether trials wait in vain.

        Raises:
            WorkersNotStartedError: they have waited for too long.
        """
        any_running = any(trial.status == "RUNNING" for trial in trials)
        notice = self._searcher.check_shortage(any_running=any_running)
        if notice is not None and notice != self._notice:
            self._console.print(notice, style="yellow")
        self._notice = notice
