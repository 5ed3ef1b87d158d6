from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import RayError

from adaptune.cluster import preparation
from adaptune.cluster.preparation import prepare_on_nodes


@dataclass(frozen=True)
class FakeChunk:
    source: tuple[int, ...]
    is_broken: bool = False


class FakeRay:
    """Runs a task when its result is fetched; `stalls_at` tasks and more never end."""

    def __init__(self, stalls_at: int) -> None:
        self.stalls_at = stalls_at
        self.ended = 0
        self.cancelled: list[object] = []
        self.options: dict[str, object] = {}

    def remote(self, function: object) -> Any:
        def options(**values: object) -> Any:
            self.options = values
            return SimpleNamespace(remote=lambda chunk: chunk)

        return SimpleNamespace(options=options)

    def wait(self, pending: list[FakeChunk], timeout: float) -> Any:
        if self.ended == self.stalls_at:
            return [], pending
        self.ended += 1
        return pending[:1], pending[1:]

    def get(self, chunk: FakeChunk) -> None:
        if chunk.is_broken:
            raise RayError("the worker died")

    def cancel(self, chunk: FakeChunk) -> None:
        self.cancelled.append(chunk)


CHUNKS: list[Any] = [FakeChunk((1, 2)), FakeChunk((3, 4), is_broken=True), FakeChunk((5,))]


def run(monkeypatch: pytest.MonkeyPatch, stalls_at: int) -> tuple[FakeRay, list[tuple[int, int]]]:
    ray = FakeRay(stalls_at)
    monkeypatch.setattr(preparation, "ray", ray)
    progress: list[tuple[int, int]] = []
    prepare_on_nodes(CHUNKS, lambda *counts: progress.append(counts))
    return ray, progress


def test_each_chunk_is_a_task_of_one_cpu_on_any_node(monkeypatch: pytest.MonkeyPatch) -> None:
    ray, progress = run(monkeypatch, stalls_at=10)
    assert progress == [(2, 5), (4, 5), (5, 5)]  # the driver prepares what a dead task did not
    assert ray.options["num_cpus"] == 1
    assert ray.options["scheduling_strategy"] == "SPREAD"


def test_tasks_for_which_there_is_no_room_are_left_to_the_driver(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ray, progress = run(monkeypatch, stalls_at=1)
    assert progress == [(2, 5)]
    assert ray.cancelled == CHUNKS[1:]
