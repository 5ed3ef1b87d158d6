"""The copy of the study and the tables in an object store, during a search."""

from __future__ import annotations

from collections.abc import Sequence

from ray.tune.experiment import Trial

from adaptune.results.lease import DriverLease
from adaptune.results.uploader import Uploader
from adaptune.search.callbacks.base import SearchCallback
from adaptune.search.protocol import TrialConfig
from adaptune.training.record import EpochRecord


class RemoteCopyCallback(SearchCallback):
    """Asks for uploads, which a thread does.

    The study is uploaded when a trial starts, so that it is in the store before a checkpoint of
    that trial is, and after each epoch; the tables are uploaded after they were written.
    """

    def __init__(self, uploader: Uploader) -> None:
        self._uploader = uploader
        self._is_due = False

    def mark_due(self) -> None:
        """Upload at the end of the current trial; called after the tables were written."""
        self._is_due = True

    def on_start(self, trial: Trial) -> None:
        """Ask for an upload of the study, which has the values of this trial."""
        self._uploader.request_journal()

    def on_epoch(self, config: TrialConfig, record: EpochRecord) -> None:
        """Ask for an upload of the study."""
        self._uploader.request_journal()

    def on_trial_end(self, config: TrialConfig) -> None:
        """Ask for an upload of everything if it is due."""
        if self._is_due:
            self._is_due = False
            self._uploader.request_all()


class DriverLeaseCallback(SearchCallback):
    """Ends a search that another driver has taken over.

    Args:
        lease: leases of this driver.
    """

    is_essential = True

    def __init__(self, lease: DriverLease) -> None:
        self._lease = lease

    def on_step(self, trials: Sequence[Trial]) -> None:
        """End the search if a lease is lost.

        Raises:
            LeaseLostError: another driver has taken it.
        """
        self._lease.raise_if_lost()
