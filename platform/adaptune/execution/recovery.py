"""A trial runner that continues a trial in new worker groups after losses."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

from adaptune.errors import PreemptedError, WorkersLostError, WorkersNotStartedError
from adaptune.execution.base import TrialRunner
from adaptune.execution.runtime import TrialJob
from adaptune.training.record import EpochRecord

log = logging.getLogger(__name__)
MAX_WORKER_GROUPS_PER_TRIAL = 3


class RecoveringRunner:
    """Runs trials on worker groups that it opens when they are needed.

    Args:
        open_group: returns a new worker group; called with the number of groups before it.
        reuse_workers: whether a group trains one trial after another.
    """

    def __init__(self, open_group: Callable[[int], TrialRunner], *, reuse_workers: bool) -> None:
        self._open_group = open_group
        self._reuse_workers = reuse_workers
        self._group: TrialRunner | None = None
        self._groups_opened = 0

    def begin(self, job: TrialJob) -> None:
        """Begin a trial; the previous one was ended."""
        self._job = job
        self._groups_lost = 0
        self._epoch = 0  # last one of the trial that was returned
        self._last_loss: tuple[str, int] | None = None
        if self._group is not None:
            try:
                self._group.begin(job)
            except WorkersLostError as error:
                self.drop(str(error))

    def next_record(self) -> EpochRecord | None:
        """Return the next record, from new workers after a loss; they resume from a checkpoint.

        Raises:
            WorkersNotStartedError: the cluster had no room for new workers.
            WorkersLostError: three groups were lost, or two by the same error of Python code with
                no new epoch in between.
            AdaptuneError: an error of the trial, see `TrialRunner`.
        """
        while True:
            try:
                record = self._running_group().next_record()
            except WorkersNotStartedError as error:
                self.drop(str(error))
                raise
            except WorkersLostError as error:
                self.drop(str(error))
                if self._is_final(error):
                    raise
            else:
                if record is not None:
                    self._epoch = record.epoch
                return record

    def end_trial(self) -> None:
        """Stop the trial, and close its workers if they are not reused."""
        if self._group is None:
            return
        try:
            self._group.stop()
        except WorkersLostError as error:
            self.drop(str(error))
        else:
            if not self._reuse_workers:
                self._close_group()

    def drop(self, cause: str) -> None:
        """Close the workers; the next record comes from new ones."""
        log.warning("trial %s lost its workers: %s", self._job.number, cause)
        self._close_group()

    def close(self) -> None:
        """Shut the workers down."""
        if self._group is not None:
            with suppress(WorkersLostError):
                self._group.stop()
            self._close_group()

    def _running_group(self) -> TrialRunner:
        if self._group is None:
            self._group = self._open_group(self._groups_opened)
            self._groups_opened += 1
            self._group.begin(self._job)
        return self._group

    def _is_final(self, error: WorkersLostError) -> bool:
        """Return whether the trial fails with the loss of a group."""
        if not isinstance(error, PreemptedError):
            self._groups_lost += 1
        loss = (str(error), self._epoch)
        is_repeated = error.is_from_code and loss == self._last_loss
        self._last_loss = loss
        return is_repeated or self._groups_lost == MAX_WORKER_GROUPS_PER_TRIAL

    def _close_group(self) -> None:
        group = self._group
        self._group = None
        if group is not None:
            group.close()
