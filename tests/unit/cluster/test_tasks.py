from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from adaptune.cluster import tasks as tasks_module
from adaptune.cluster.nodes import LOST_NODES_TIMEOUT_S, REFRESH_S
from adaptune.cluster.placement import PlacementPlan
from adaptune.cluster.tasks import ClusterTask, ClusterTasks, task_device
from adaptune.errors import BAD_INPUT, NodesLostError
from adaptune.spec.resources import WorkerResources

RESOURCES = WorkerResources(2, 1, 0.5, "A100", {"market": "spot"})
PLAN = PlacementPlan("ray_train", RESOURCES, 1, 1, task_cpus=2)


@dataclass
class Capacity:
    """The number of trials that fit, one number per call, of which the last one stays."""

    trials: list[int]
    node_timeout_s: float = LOST_NODES_TIMEOUT_S
    requests: list[int] = field(default_factory=list)

    def __call__(self, unfinished: int) -> int:
        self.requests.append(unfinished)
        return self.trials.pop(0) if len(self.trials) > 1 else self.trials[0]


@dataclass
class FakeRay:
    """Ray whose tasks end at given seconds of a clock, which each wait moves on."""

    ends_s: dict[str, float] = field(default_factory=dict)
    now_s: float = 0.0
    options: dict[str, Any] = field(default_factory=dict)
    arguments: tuple[object, ...] = ()

    def wait(
        self, references: list[str], num_returns: int, timeout: float
    ) -> tuple[list[str], list[str]]:
        self.now_s += timeout
        ended = [ref for ref in references if self.ends_s[ref] <= self.now_s]
        return ended, [ref for ref in references if ref not in ended]

    def get(self, references: list[str]) -> list[str]:
        return [f"result of {reference}" for reference in references]

    def remote(self, function: object) -> SimpleNamespace:
        def set_options(**options: Any) -> SimpleNamespace:
            self.options = options
            return SimpleNamespace(remote=run)

        def run(*arguments: object) -> object:
            self.arguments = arguments
            return function

        return SimpleNamespace(options=set_options)


@pytest.fixture
def fake_ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    fake = FakeRay()
    for name in ("wait", "get", "remote"):
        monkeypatch.setattr(tasks_module.ray, name, getattr(fake, name))
    monkeypatch.setattr(tasks_module.time, "monotonic", lambda: fake.now_s)
    return fake


def results(fake_ray: FakeRay, capacity: Capacity, **ends_s: float) -> list[str]:
    fake_ray.ends_s = ends_s
    submitted: list[ClusterTask[str]] = [ClusterTask(name) for name in ends_s]
    return ClusterTasks(PLAN, capacity).results(submitted)  # type: ignore[arg-type]


def test_a_task_runs_where_trials_may_run_with_the_gpus_of_a_worker(fake_ray: FakeRay) -> None:
    tasks = ClusterTasks(PLAN, Capacity([1]))  # type: ignore[arg-type]
    assert tasks.cpus_per_task == 2
    task = tasks.submit("source classifier", max, 3, 4, cpus=2)
    assert task.ref is max
    assert fake_ray.arguments == (3, 4)
    assert fake_ray.options == {
        "name": "source classifier",
        "num_cpus": 2,
        "num_gpus": 0.5,
        "accelerator_type": "A100",
        "label_selector": {"market": "spot"},
    }


def test_results_come_in_the_order_of_the_tasks_however_long_they_take(fake_ray: FakeRay) -> None:
    capacity = Capacity([1])
    ended = results(fake_ray, capacity, slow=100 * LOST_NODES_TIMEOUT_S, fast=1.0)
    assert ended == ["result of slow", "result of fast"]
    assert set(capacity.requests) == {1}  # for one trial's nodes, while tasks are pending


def test_tasks_that_no_node_can_hold_end_the_search_so_that_it_can_be_resumed(
    fake_ray: FakeRay,
) -> None:
    with pytest.raises(NodesLostError) as caught:
        results(fake_ray, Capacity([0]), never=float("inf"))
    assert str(caught.value) == (
        "no node had room for a trial for 600 s. Everything is kept; the same command, with"
        " --resume for a search, continues"
    )
    # The program ends with status 1 and keeps the results folder: nothing was wrong with the input.
    assert not isinstance(caught.value, BAD_INPUT)
    waited_s = fake_ray.now_s - REFRESH_S  # the shortage shows after the first wait
    assert LOST_NODES_TIMEOUT_S < waited_s <= LOST_NODES_TIMEOUT_S + REFRESH_S


def test_the_wait_for_nodes_can_be_longer(fake_ray: FakeRay) -> None:
    with pytest.raises(NodesLostError, match="for 7200 s"):
        results(fake_ray, Capacity([0], node_timeout_s=7200.0), never=float("inf"))


def test_a_node_that_joins_in_time_ends_the_shortage(fake_ray: FakeRay) -> None:
    nearly = int(LOST_NODES_TIMEOUT_S / REFRESH_S)
    shortages = ([0] * nearly + [1]) * 2
    ended = results(fake_ray, Capacity([*shortages, 1]), task=3 * LOST_NODES_TIMEOUT_S)
    assert ended == ["result of task"]


def test_tasks_that_have_ended_need_no_node(fake_ray: FakeRay) -> None:
    capacity = Capacity([0])
    assert results(fake_ray, capacity, task=REFRESH_S) == ["result of task"]
    assert results(fake_ray, capacity) == []
    assert capacity.requests == []


@pytest.mark.parametrize(("available", "device"), [(True, "cuda"), (False, "cpu")])
def test_a_task_trains_on_its_gpu_if_it_has_one_with_the_threads_of_its_cpus(
    available: bool, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert task_device(3) == torch.device(device)
    assert threads == [3]
