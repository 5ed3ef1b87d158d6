from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from support.tiny_trial import make_record

from adaptune.errors import CheckpointError, NonFiniteLossError
from adaptune.execution.coordinator import Decision, TrialCoordinator, WorkerMessage
from adaptune.execution.runtime import GroupJob

T = TypeVar("T")


async def start(coroutine: Awaitable[T]) -> asyncio.Future[T]:
    """Let a call run until it waits."""
    task = asyncio.ensure_future(coroutine)
    for _ in range(10):
        await asyncio.sleep(0)
    return task


def test_a_worker_that_asks_early_waits_for_its_trial(job: GroupJob) -> None:
    async def scenario() -> None:
        coordinator = TrialCoordinator()
        request = await start(coordinator.job(0))
        assert not request.done()
        await coordinator.submit(job)
        assert await request is job

    asyncio.run(scenario())


def test_all_workers_get_the_same_trials_in_the_same_order(
    job: GroupJob, next_job: GroupJob
) -> None:
    async def scenario() -> None:
        coordinator = TrialCoordinator()
        jobs = [job, next_job]
        for submitted in jobs:
            await coordinator.submit(submitted)
        for index, expected in enumerate(jobs):
            answers = await asyncio.gather(coordinator.job(index), coordinator.job(index))
            assert answers == [expected, expected]

    asyncio.run(scenario())


def test_a_worker_is_shut_down_after_the_trials_before() -> None:
    async def scenario() -> None:
        coordinator = TrialCoordinator()
        request = await start(coordinator.job(0))
        await coordinator.shut_down()
        assert await request is None

    asyncio.run(scenario())


def test_a_decision_is_given_to_each_worker_that_asks_for_it() -> None:
    async def scenario() -> None:
        coordinator = TrialCoordinator()
        early = await start(coordinator.decision(0))
        assert not early.done()
        decisions: list[Decision] = [(), (3, 5), None]
        for decision in decisions:
            await coordinator.decide(decision)
        assert await early == ()
        # Another worker asks late.
        assert [await coordinator.decision(index) for index in range(3)] == decisions
        next_decision = await start(coordinator.decision(3))
        assert not next_decision.done()
        next_decision.cancel()

    asyncio.run(scenario())


def test_messages_reach_the_runner_in_order() -> None:
    async def scenario() -> None:
        coordinator = TrialCoordinator()
        messages = [
            WorkerMessage({3: make_record(1, 0.5), 5: NonFiniteLossError("step 3: task is nan")}),
            WorkerMessage(error=CheckpointError("damaged")),
            WorkerMessage(),
        ]
        request = await start(coordinator.next_message())
        assert not request.done()
        for message in messages:
            await coordinator.post(message)
        received = [await request]
        received += [await coordinator.next_message() for _ in messages[1:]]
        assert received == messages

    asyncio.run(scenario())


def test_a_coordinator_notices_the_first_worker_that_connects(job: GroupJob) -> None:
    async def scenario() -> None:
        coordinator = TrialCoordinator()
        await coordinator.submit(job)
        assert not await coordinator.worker_connected()
        await coordinator.job(0)
        assert await coordinator.worker_connected()

    asyncio.run(scenario())


def test_a_worker_counts_as_connected_while_it_waits() -> None:
    async def scenario() -> None:
        coordinator = TrialCoordinator()
        request = await start(coordinator.job(0))
        assert await coordinator.worker_connected()
        request.cancel()

    asyncio.run(scenario())
