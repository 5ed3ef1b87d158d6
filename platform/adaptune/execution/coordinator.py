"""Between a lane's owner and its workers: trials go down, epochs come up, decisions go down."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from adaptune.errors import AdaptuneError
from adaptune.execution.base import TrialJob
from adaptune.training.loop import Record


@dataclass(frozen=True)
class Message:
    """From the workers: an epoch's record, or the end of the trial, with its error if it failed."""

    record: Record | None = None
    error: AdaptuneError | None = None


class TrialCoordinator:
    """An asynchronous Ray actor without a CPU of its own.

    Every worker asks for each job and each decision by its count, so that all get the same answers
    and none waits for another worker while there is nothing to train.
    """

    def __init__(self) -> None:
        self._jobs: list[TrialJob | None] = []
        self._decisions: list[bool] = []
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._changed = asyncio.Condition()
        self._worker_connected = False

    async def submit(self, job: TrialJob | None) -> None:
        """The owner's: a trial to run, or None to send the workers home."""
        async with self._changed:
            self._jobs.append(job)
            self._changed.notify_all()

    async def decide(self, go_on: bool) -> None:
        """The owner's: whether the trial goes on after the record that came up last."""
        async with self._changed:
            self._decisions.append(go_on)
            self._changed.notify_all()

    async def next_message(self) -> Message:
        """The owner's: what the workers say next."""
        return await self._messages.get()

    async def worker_connected(self) -> bool:
        """The owner's: whether any worker has come up."""
        return self._worker_connected

    async def job(self, turn: int) -> TrialJob | None:
        """A worker's: the trial of its `turn`-th asking, from 0."""
        self._worker_connected = True
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._jobs) > turn)
            return self._jobs[turn]

    async def post(self, message: Message) -> None:
        """Rank 0's: an epoch's record or the trial's end."""
        await self._messages.put(message)

    async def decision(self, turn: int) -> bool:
        """A worker's: the decision on the `turn`-th record since the lane began, from 0."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._decisions) > turn)
            return self._decisions[turn]
