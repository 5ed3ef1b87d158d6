from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from support.fake_search import make_search
from support.fake_time import fake_time
from support.stop_signals import drop_signal

from adaptune.cluster import tasks as tasks_module
from adaptune.cluster.nodes import LOST_NODES_TIMEOUT_S, REFRESH_S
from adaptune.cluster.placement import PlacementPlan
from adaptune.cluster.tasks import ClusterTask, ClusterTasks, task_device, task_timeout_s
from adaptune.errors import BAD_INPUT, NodesLostError, TaskTimeoutError
from adaptune.signals import StopRequest, stop_on_signals
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
class Outputs:
    """Output of a task: one value at its start, and its result at its end."""

    name: str
    start_s: float
    end_s: float
    taken: int = 0

    def __next__(self) -> str:
        self.taken += 1
        return "started" if self.taken == 1 else self.name

    def is_ready(self, now_s: float) -> bool:
        return now_s >= (self.start_s if self.taken == 0 else self.end_s)


@dataclass
class FakeRay:
    """Ray, with a clock that each wait moves on."""

    now_s: float = 0.0
    options: dict[str, Any] = field(default_factory=dict)
    arguments: tuple[object, ...] = ()
    cancelled: list[str] = field(default_factory=list)

    def wait(
        self, outputs: list[Outputs], num_returns: int, timeout: float
    ) -> tuple[list[Outputs], list[Outputs]]:
        ready = [output for output in outputs if output.is_ready(self.now_s)]
        if len(ready) < num_returns:
            self.now_s += timeout
            ready = [output for output in outputs if output.is_ready(self.now_s)]
        return ready, [output for output in outputs if output not in ready]

    def cancel(self, outputs: Outputs, *, force: bool) -> None:
        assert force
        self.cancelled.append(outputs.name)

    def get(self, reference: str) -> str:
        return f"result of {reference}"

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
    for name in ("wait", "get", "remote", "cancel"):
        monkeypatch.setattr(tasks_module.ray, name, getattr(fake, name))
    fake_time(monkeypatch, tasks_module, monotonic=lambda: fake.now_s)
    return fake


@dataclass
class Wait:
    """A wait for tasks that start and end at given seconds."""

    capacity: Capacity
    timeout_s: float = float("inf")
    lines: list[str] = field(default_factory=list)

    def results(self, **times_s: float | tuple[float, float]) -> list[str]:
        submitted: list[ClusterTask[str]] = []
        for name, times in times_s.items():
            start_s, end_s = times if isinstance(times, tuple) else (0.0, times)
            outputs: Any = Outputs(name, start_s, end_s)
            submitted.append(ClusterTask(name, outputs))
        capacity: Any = self.capacity
        tasks = ClusterTasks(PLAN, capacity, self.lines.append, self.timeout_s)
        return tasks.results(submitted)


def results(fake_ray: FakeRay, capacity: Capacity, **ends_s: float) -> list[str]:
    return Wait(capacity).results(**{name: (end_s, end_s) for name, end_s in ends_s.items()})


def test_a_task_runs_where_trials_may_run_with_the_gpus_of_a_worker(fake_ray: FakeRay) -> None:
    tasks = ClusterTasks(PLAN, Capacity([1]))  # type: ignore[arg-type]
    assert tasks.cpus_per_task == 2
    task = tasks.submit("source classifier", max, 3, 4, cpus=2)
    outputs: Any = task.outputs
    assert list(outputs(max, 3, 4)) == [None, 4]  # it yields when it starts
    assert fake_ray.arguments == (max, 3, 4)
    assert fake_ray.options == {
        "name": "source classifier",
        "num_cpus": 2,
        "num_gpus": 0.5,
        "accelerator_type": "A100",
        "label_selector": {"market": "spot"},
        "num_returns": "streaming",
        "max_retries": 3,
    }


@pytest.mark.usefixtures("fake_ray")
def test_results_come_in_the_order_of_the_tasks_however_long_they_take() -> None:
    wait = Wait(Capacity([1]))
    ended = wait.results(slow=100 * LOST_NODES_TIMEOUT_S, fast=1.0)
    assert ended == ["result of slow", "result of fast"]
    assert set(wait.capacity.requests) == {1}  # for one trial's nodes, while tasks are pending
    assert wait.lines == []


@pytest.mark.usefixtures("fake_ray")
def test_a_task_may_wait_for_the_room_of_another_one_of_the_search() -> None:
    wait = Wait(Capacity([1]))
    wait.results(first=5000.0, second=(5010.0, 9000.0), third=(9010.0, 9020.0))
    assert wait.lines == []


@pytest.mark.usefixtures("fake_ray")
def test_a_task_for_which_other_jobs_leave_no_room_is_waited_for_in_public() -> None:
    wait = Wait(Capacity([1]))
    wait.results(baseline=(500.0, 510.0))
    [line] = wait.lines
    assert line == "the task 'baseline' waits for room on the cluster, which other jobs use"
    with pytest.raises(NodesLostError, match="other jobs left no room for the task 'never'"):
        wait.results(never=(float("inf"), float("inf")))


def test_a_task_that_hangs_is_cancelled_and_can_be_repeated_by_a_resume(fake_ray: FakeRay) -> None:
    wait = Wait(Capacity([1]), timeout_s=3600.0)
    assert wait.results(long=3500.0) == ["result of long"]
    with pytest.raises(TaskTimeoutError, match=r"'hung' ran for more than 3600 s\. Everything is"):
        wait.results(hung=float("inf"), ended=1.0)
    assert fake_ray.cancelled == ["hung"]


def test_a_task_may_take_the_time_of_as_many_updates_of_epochs() -> None:
    training = {"epochs": 4, "steps_per_epoch": 10, "source": {"steps": 95}}
    spec = make_search(training=training, resources={"epoch_timeout_s": 60})
    assert task_timeout_s(spec) == 10 * 60  # f_S: 95 updates are 10 epochs


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


@pytest.mark.usefixtures("fake_ray")
def test_a_node_that_joins_in_time_ends_the_shortage() -> None:
    nearly = int(LOST_NODES_TIMEOUT_S / REFRESH_S)
    shortages = ([0] * nearly + [1]) * 2
    ended = Wait(Capacity([*shortages, 1])).results(task=3 * LOST_NODES_TIMEOUT_S)
    assert ended == ["result of task"]


def test_tasks_that_have_ended_need_no_node(fake_ray: FakeRay) -> None:
    capacity = Capacity([0])
    assert results(fake_ray, capacity) == []
    assert capacity.requests == []
    assert results(fake_ray, capacity, task=REFRESH_S) == ["result of task"]
    assert capacity.requests == [1]  # when it had started


@pytest.mark.parametrize(("available", "device"), [(True, "cuda"), (False, "cpu")])
def test_a_task_trains_on_its_gpu_if_it_has_one_with_the_threads_of_its_cpus(
    available: bool, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    spec = make_search(training={"tf32": False}).trial({})
    assert task_device(spec, 3) == torch.device(device)
    assert threads == [3]
    assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.benchmark


def test_a_signal_that_ray_has_dropped_ends_the_wait(fake_ray: FakeRay) -> None:
    with stop_on_signals():
        drop_signal()
        with pytest.raises(StopRequest):
            results(fake_ray, Capacity([1]), training=3.0)
