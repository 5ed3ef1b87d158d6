"""The copy of the study and the tables in an object store, during a search."""

from __future__ import annotations

from adaptune.results.folder import ResultsFolder
from adaptune.results.remote import upload
from adaptune.search.callbacks.base import SearchCallback
from adaptune.search.protocol import TrialConfig, TrialResult


class RemoteCopyCallback(SearchCallback):
    """Uploads the study and the tables after they were written."""

    def __init__(self, folder: ResultsFolder) -> None:
        self._folder = folder
        self._is_due = False

    def mark_due(self) -> None:
        """Upload at the end of the current trial; called after the tables were written."""
        self._is_due = True

    def on_trial_end(self, config: TrialConfig, result: TrialResult) -> None:
        """Upload if it is due."""
        if not self._is_due:
            return
        self._is_due = False
        upload(self._folder)
