"""The tables trials.parquet and epochs.parquet, kept up to date during a search."""

from __future__ import annotations

import time
from collections.abc import Callable

from adaptune.results.folder import ResultsFolder
from adaptune.results.uploader import interval_after
from adaptune.search.callbacks.base import SearchCallback
from adaptune.search.protocol import TrialConfig
from adaptune.study.study import SearchStudy
from adaptune.study.tables import write_tables
from adaptune.study.trial import TrialPlacement

MIN_INTERVAL_S = 10.0  # they are written as a whole each time, and Tune's loop waits meanwhile


class TablesCallback(SearchCallback):
    """Writes the tables when a trial ends, but not at each end.

    The interval is ten seconds, or twenty times the duration of the last writing if that is longer.

    Args:
        study: study of the search.
        folder: results folder.
        placement: runner and workers of the trials of this session.
        after_write: called after the tables were written.
        clock: monotonic clock in seconds.
    """

    def __init__(
        self,
        study: SearchStudy,
        folder: ResultsFolder,
        placement: TrialPlacement,
        after_write: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._study = study
        self._folder = folder
        self._placement = placement
        self._after_write = after_write
        self._clock = clock
        self._due = 0.0

    def on_trial_end(self, config: TrialConfig) -> None:
        """Write the tables if they are due."""
        start = self._clock()
        if start < self._due:
            return
        self._due = start + MIN_INTERVAL_S  # also if the tables cannot be written
        write_tables(self._study, self._folder, self._placement)
        end = self._clock()
        self._due = end + interval_after(end - start, MIN_INTERVAL_S)
        self._after_write()
