"""The actor between a trial runner and its workers.

Trials go down to the workers, epoch records come up, decisions to continue or stop go down.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from adaptune.errors import AdaptuneError
from adaptune.execution.runtime import TrialJob
from adaptune.training.record import EpochRecord


@dataclass(frozen=True)
class WorkerMessage:
    """A message from the workers: the record of an epoch, or the end of the trial.

    Attributes:
        record: record of an epoch; None at the end of the trial.
        error: error that ended the trial, if any.
    """

    record: EpochRecord | None = None
    error: AdaptuneError | None = None


class TrialCoordinator:
    """An asynchronous Ray actor without a CPU of its own.

    Each worker asks for jobs and decisions by their index. All workers therefore get the same
    answers, and none waits for another while there is nothing to train.
    """

    def __init__(self) -> None:
        self._jobs: list[TrialJob | None] = []
        self._decisions: list[bool] = []
        self._messages: asyncio.Queue[WorkerMessage] = asyncio.Queue()
        self._changed = asyncio.Condition()
        self._worker_connected = False

    async def submit(self, job: TrialJob) -> None:
        """Add a trial for the workers; called by the runner."""
        await self._add_job(job)

    async def shut_down(self) -> None:
        """Make the workers return once they are idle; called by the runner."""
        await self._add_job(None)

    async def decide(self, continue_training: bool) -> None:
        """Set whether the trial continues after its last record; called by the runner."""
        async with self._changed:
            self._decisions.append(continue_training)
            self._changed.notify_all()

    async def next_message(self) -> WorkerMessage:
        """Wait for the next message of the workers; called by the runner."""
        return await self._messages.get()

    async def worker_connected(self) -> bool:
        """Return whether any worker has asked for a trial; called by the runner."""
        return self._worker_connected

    async def job(self, index: int) -> TrialJob | None:
        """Wait for the trial with this index, from 0; None shuts the worker down."""
        self._worker_connected = True
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._jobs) > index)
            return self._jobs[index]

    async def post(self, message: WorkerMessage) -> None:
        """Pass a message to the runner; called by rank 0, or by a worker that crashed."""
        await self._messages.put(message)

    async def decision(self, index: int) -> bool:
        """Wait for the decision on the record with this index, from 0 over all trials."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._decisions) > index)
            return self._decisions[index]

    async def _add_job(self, job: TrialJob | None) -> None:
        async with self._changed:
            self._jobs.append(job)
            self._changed.notify_all()
