"""The interface of trackers, and the callback that passes them the trials in a thread."""

from __future__ import annotations

import logging
import math
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from adaptune.evaluation.summary import Summary
from adaptune.results.folder import ResultsFolder
from adaptune.search.callbacks.base import SearchCallback
from adaptune.search.driver import SearchRun
from adaptune.search.protocol import TrialConfig
from adaptune.study.study import SearchStudy
from adaptune.study.tracking_id import tracking_id
from adaptune.study.trial import StudyEpoch, StudyTrial
from adaptune.training.record import EpochRecord

log = logging.getLogger(__name__)
FINISH_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class TrackedSearch:
    """A search as trackers name it.

    Attributes:
        name: name of the search.
        identity: see `tracking_id`.
        project: experiment or project that its runs belong to.
        folder: results folder.
    """

    name: str
    identity: str
    project: str
    folder: ResultsFolder

    @classmethod
    def of(cls, run: SearchRun) -> TrackedSearch:
        """Return the search of this run."""
        return cls(run.spec.name, tracking_id(run.study), run.spec.tracking.project, run.folder)

    def sample_grids(self, trial: StudyTrial) -> dict[int, bytes]:
        """Return the sample grids of a trial as PNG, by epoch.

        Trials that share a GAN have the grids of their leader, which alone returns them.
        """
        if trial.leader != trial.number:
            return {}
        checkpoints = self.folder.checkpoints(trial.number)
        grids = {}
        for file in checkpoints.files():
            if file.kind == "sample grid" and file.epoch <= trial.last_epoch:
                png = checkpoints.sample_grid(file.epoch)
                if png is not None:
                    grids[file.epoch] = png
        return dict(sorted(grids.items()))


class Tracker(Protocol):
    """A tool that gets a copy of the figures; it is called from one thread."""

    def update(self, trial: StudyTrial) -> None:
        """Copy the epochs that the tool lacks, and the end of the trial if it has ended.

        A call that failed is made up for by the next one of the trial.
        """

    def finish(self, summary: Summary, export: Path | None) -> None:
        """Copy the result of the search, its report and its exported model."""

    def stop(self) -> None:
        """Note that nothing trains any more, although the search may be resumed."""


class TrackerCallback(SearchCallback):
    """Passes trials to a tracker in a thread of its own, so that the search never waits for it.

    Args:
        name: name of the tool, for messages.
        open_tracker: returns the tracker; called in the thread, and again if it fails.
        study: study of the search, whose earlier trials are passed first.
    """

    def __init__(self, name: str, open_tracker: Callable[[], Tracker], study: SearchStudy) -> None:
        self.name = name
        self.error: Exception | None = None
        self._open_tracker = open_tracker
        self._tracker: Tracker | None = None
        self._study = study
        self._calls: queue.SimpleQueue[Callable[[Tracker], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"tracker-{name}", daemon=True)
        self._thread.start()
        for trial in study.started_trials():
            self._pass(trial)

    def on_epoch(self, config: TrialConfig, record: EpochRecord) -> None:
        """Pass the trial on, with the epochs that the study has."""
        self._pass(self._study.trial(config.number))

    def on_trial_end(self, config: TrialConfig) -> None:
        """Pass the trial on as it ended."""
        self._pass(self._study.trial(config.number))

    def finish(self, summary: Summary, export: Path | None) -> None:
        """Pass the result on, and wait for the tool.

        Raises:
            OSError: the tool has not taken everything; the search itself is complete.
        """
        self._calls.put(self._forget_error)  # the next calls make up for it, or fail again
        for trial in self._study.started_trials():
            self._pass(trial)
        self._calls.put(lambda tracker: tracker.finish(summary, export))
        self._calls.put(None)
        self._thread.join(FINISH_TIMEOUT_S)
        if self._thread.is_alive():
            raise OSError(f"no answer within {FINISH_TIMEOUT_S:.0f} s")
        if self.error is not None:
            raise OSError(str(self.error)) from self.error

    def stop(self) -> None:
        """Tell the tool that the search has stopped before its end, and wait a moment for it."""
        if self._tracker is None:
            return
        self._calls.put(lambda tracker: tracker.stop())
        self._calls.put(None)
        self._thread.join(STOP_TIMEOUT_S)

    def _pass(self, trial: StudyTrial) -> None:
        self._calls.put(lambda tracker: tracker.update(trial))

    def _forget_error(self, tracker: Tracker) -> None:
        self.error = None

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                if self._tracker is None:
                    self._tracker = self._open_tracker()
                call(self._tracker)
            except Exception as error:
                self.error = error
                log.exception("%s did not take the figures; the search continues", self.name)


def epoch_figures(epoch: StudyEpoch) -> dict[str, float]:
    """Return the finite figures of an epoch by name, with its `objective`."""
    figures = {"objective": epoch.objective}
    for name, value in epoch.record.flat().items():
        if isinstance(value, float):
            figures[name] = value
    return {name: value for name, value in figures.items() if math.isfinite(value)}


def summary_figures(summary: Summary) -> dict[str, float]:
    """Return the finite numbers of a summary by their keys."""
    figures = {}
    for name, value in summary.model_dump().items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and math.isfinite(value):
            figures[name] = float(value)
    return figures
