"""The actor between a trial runner and its workers.

Trials go down to the workers, outcomes of epochs come up, decisions to continue or stop go down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from adaptune.errors import AdaptuneError
from adaptune.execution.runtime import GroupJob
from adaptune.training.loop import Outcome

Decision = tuple[int, ...] | None  # numbers of the trials that stop; None stops all


@dataclass(frozen=True)
class WorkerMessage:
    """A message from the workers: the outcomes of an epoch, or the end of the trials.

    Attributes:
        outcomes: outcome of an epoch for each trial; None at the end of the trials.
        error: error that ended the trials, if any.
    """

    outcomes: Mapping[int, Outcome] | None = None
    error: AdaptuneError | None = None


class TrialCoordinator:
    """An asynchronous Ray actor without a CPU of its own.

    Each worker asks for jobs and decisions by their index. All workers therefore get the same
    answers, and none waits for another while there is nothing to train.
    """

    def __init__(self) -> None:
        self._jobs: list[GroupJob | None] = []
        self._decisions: list[Decision] = []
        self._messages: asyncio.Queue[WorkerMessage] = asyncio.Queue()
        self._changed = asyncio.Condition()
        self._worker_connected = False

    async def submit(self, job: GroupJob) -> None:
        """Add trials for the workers; called by the runner."""
        await self._add_job(job)

    async def shut_down(self) -> None:
        """Make the workers return once they are idle; called by the runner."""
        await self._add_job(None)

    async def decide(self, decision: Decision) -> None:
        """Tell the workers which trials stop after the last epoch; called by the runner."""
        async with self._changed:
            self._decisions.append(decision)
            self._changed.notify_all()

    async def next_message(self) -> WorkerMessage:
        """Wait for the next message of the workers; called by the runner."""
        return await self._messages.get()

    async def worker_connected(self) -> bool:
        """Return whether any worker has asked for trials; called by the runner."""
        return self._worker_connected

    async def job(self, index: int) -> GroupJob | None:
        """Wait for the job with this index, from 0; None shuts the worker down."""
        self._worker_connected = True
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._jobs) > index)
            return self._jobs[index]

    async def post(self, message: WorkerMessage) -> None:
        """Pass a message to the runner; called by rank 0, or by a worker that crashed."""
        await self._messages.put(message)

    async def decision(self, index: int) -> Decision:
        """Wait for the decision on the epoch with this index, from 0 over all jobs."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._decisions) > index)
            return self._decisions[index]

    async def _add_job(self, job: GroupJob | None) -> None:
        async with self._changed:
            self._jobs.append(job)
            self._changed.notify_all()
