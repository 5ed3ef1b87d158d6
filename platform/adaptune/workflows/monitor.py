"""Progress of a search while its driver trains trials: the time left, and the live view."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ray.tune.experiment import Trial

from adaptune.cluster.nodes import node_resources
from adaptune.search.callbacks.base import SearchCallback
from adaptune.search.driver import SearchRun
from adaptune.search.protocol import TrialConfig
from adaptune.study.progress import SearchProgress, store_progress
from adaptune.text import duration
from adaptune.training.calibration_data import DataSizes
from adaptune.training.record import EpochRecord
from adaptune.workflows.live import LiveScreen
from adaptune.workflows.live_view import SearchView
from adaptune.workflows.planned_search import PlannedSearch
from adaptune.workflows.snapshot import SnapshotReader

VIEW_INTERVAL_S = 1.0
ESTIMATE_INTERVAL_S = 15.0
# Neither may take a noticeable part of the driver's time: this many times its duration passes
# before the next view, or the next estimate.
PAUSE_FACTOR = 200


class MonitorCallback(SearchCallback):
    """Stores the expected end of a search, and shows its progress.

    Without a screen, it prints a line when a trial ends.

    Args:
        run: the search.
        screen: where the view is shown; None on anything but a terminal.
        clock: monotonic clock in seconds.
    """

    def __init__(
        self,
        run: SearchRun,
        screen: LiveScreen | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run = run
        self._screen = screen
        self._clock = clock
        self._reader = SnapshotReader(run.study, run.spec)
        self._ended = 0
        self._view_due = self._estimate_due = clock()
        self._progress = SearchProgress(
            plan=run.plan.describe(run.spec.search.classifiers_per_gan),
            nodes=len(node_resources(run.plan.resources)),
            workers=run.plan.resources.workers,
            target_val=len(run.splits.indices.get("target_val", ())),
            start=time.time(),
        )
        store_progress(run.study, self._progress)

    def on_epoch(self, config: TrialConfig, record: EpochRecord) -> None:
        """Store the expected end of the search, if the last estimate is some time ago."""
        start = self._clock()
        if start < self._estimate_due:
            return
        self._estimate_due = start + ESTIMATE_INTERVAL_S  # also if it fails
        self._progress = self._progress.with_end(time.time() + seconds_left(self._run))
        store_progress(self._run.study, self._progress)
        end = self._clock()
        self._estimate_due = end + max(ESTIMATE_INTERVAL_S, PAUSE_FACTOR * (end - start))

    def on_trial_end(self, config: TrialConfig) -> None:
        """Print how many trials have ended, unless the view shows it.

        Trials of a group may end together, and get one line.
        """
        if self._screen is not None:
            return
        snapshot = self._reader.read()
        if snapshot.ended == self._ended:
            return
        self._ended = snapshot.ended
        left = ""
        if snapshot.left_s is not None and snapshot.ended < snapshot.total:
            left = f", about {duration(snapshot.left_s)} left"
        counts = f"{snapshot.ended} of {snapshot.total} trials have ended"
        self._run.console.print(f"{'':9}{counts}{left}", soft_wrap=True)

    def on_step(self, trials: Sequence[Trial]) -> None:
        """Show the view, about once per second."""
        if self._screen is None:
            return
        self._screen.suspend_if_asked()
        start = self._clock()
        if start < self._view_due:
            return
        self._view_due = start + VIEW_INTERVAL_S
        self.show()
        end = self._clock()
        self._view_due = end + max(VIEW_INTERVAL_S, PAUSE_FACTOR * (end - start))

    def show(self) -> None:
        """Show the view as it is now, if there is a screen."""
        if self._screen is not None:
            self._screen.show(SearchView(self._reader.read()))


def seconds_left(run: SearchRun) -> float:
    """Return how long the rest of a search will take, by the epochs that it has trained."""
    trials = run.study.steering.trials(run.spec.planned_trials)
    search = run.spec.search.model_copy(update={"trials": trials})
    planned = PlannedSearch(
        run.spec.model_copy(update={"search": search}),
        run.plan,
        run.folder,
        DataSizes.of(run.splits.trial),
        len(run.splits.withheld.target_test_labels) > 0,
    )
    return planned.seconds_left(run.study)
