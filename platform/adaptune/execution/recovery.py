"""A trial runner that continues trials in new worker groups after losses."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from contextlib import suppress

from adaptune.errors import PreemptedError, WorkersLostError, WorkersNotStartedError
from adaptune.execution.base import TrialRunner
from adaptune.execution.runtime import GroupJob
from adaptune.training.loop import Outcome
from adaptune.training.record import EpochRecord

log = logging.getLogger(__name__)
MAX_WORKER_GROUPS_PER_JOB = 3


class RecoveringRunner:
    """Runs trial groups on worker groups that it opens when they are needed.

    Args:
        open_workers: returns a new worker group; called with the number of groups before it.
        reuse_workers: whether a worker group trains one trial group after another.
    """

    def __init__(self, open_workers: Callable[[int], TrialRunner], *, reuse_workers: bool) -> None:
        self._open_workers = open_workers
        self._reuse_workers = reuse_workers
        self._workers: TrialRunner | None = None
        self._times_opened = 0

    def begin(self, job: GroupJob) -> None:
        """Begin trials; the previous ones were ended."""
        self._job = job
        self._ended: set[int] = set()  # numbers of its trials that new workers do not train
        self._losses = 0
        self._epoch = 0  # last one of the trials that was returned
        self._last_loss: tuple[str, int] | None = None
        if self._workers is not None:
            try:
                self._workers.begin(job)
            except WorkersLostError as error:
                self.drop(str(error))

    def next_outcomes(self, stopped: Collection[int] = ()) -> dict[int, Outcome] | None:
        """Return the next outcomes, from new workers after a loss; they resume from a checkpoint.

        It returns None once all trials have been stopped or have failed.

        Args:
            stopped: numbers of the trials that do not continue.

        Raises:
            WorkersNotStartedError: the cluster had no room for new workers.
            WorkersLostError: three groups were lost, or two by the same error of Python code with
                no new epoch in between.
            AdaptuneError: an error of the trials, see `TrialRunner`.
        """
        self._ended.update(stopped)
        if not self._remaining_job().trials:
            return None
        while True:
            try:
                outcomes = self._running_workers().next_outcomes(stopped)
            except WorkersNotStartedError as error:
                self.drop(str(error))
                raise
            except WorkersLostError as error:
                self.drop(str(error))
                if self._is_final(error):
                    raise
            else:
                self._note(outcomes or {})
                return outcomes

    def end_job(self) -> None:
        """Stop the trials, and close their workers if they are not reused."""
        if self._workers is None:
            return
        try:
            self._workers.stop()
        except WorkersLostError as error:
            self.drop(str(error))
        else:
            if not self._reuse_workers:
                self._close_workers()

    def drop(self, cause: str) -> None:
        """Close the workers; the next outcomes come from new ones."""
        log.warning("trial %s lost its workers: %s", self._job.number, cause)
        self._close_workers()

    def close(self) -> None:
        """Shut the workers down."""
        if self._workers is not None:
            with suppress(WorkersLostError):
                self._workers.stop()
            self._close_workers()

    def _running_workers(self) -> TrialRunner:
        if self._workers is None:
            self._workers = self._open_workers(self._times_opened)
            self._times_opened += 1
            self._workers.begin(self._remaining_job())
        return self._workers

    def _remaining_job(self) -> GroupJob:
        return self._job.without(self._ended)

    def _note(self, outcomes: dict[int, Outcome]) -> None:
        """Note the last epoch, and the trials that have failed in it."""
        for number, outcome in outcomes.items():
            if isinstance(outcome, EpochRecord):
                self._epoch = outcome.epoch
            else:
                self._ended.add(number)

    def _is_final(self, error: WorkersLostError) -> bool:
        """Return whether the trials fail with the loss of a worker group."""
        if not isinstance(error, PreemptedError):
            self._losses += 1
        loss = (str(error), self._epoch)
        is_repeated = error.is_from_code and loss == self._last_loss
        self._last_loss = loss
        return is_repeated or self._losses == MAX_WORKER_GROUPS_PER_JOB

    def _close_workers(self) -> None:
        workers = self._workers
        self._workers = None
        if workers is not None:
            workers.close()
