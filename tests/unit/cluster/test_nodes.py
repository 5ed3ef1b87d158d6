"""The nodes of a cluster, which come and go."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

import pytest
from rich.console import Console
from support.fake_search import make_search
from support.fake_time import fake_time

from adaptune.cluster import nodes as nodes_module
from adaptune.cluster.nodes import (
    LOST_NODES_TIMEOUT_S,
    REFRESH_S,
    ClusterCapacity,
    ClusterNode,
    has_labels,
    node_resources,
    request_nodes,
    trial_nodes,
    wait_for_plan,
)
from adaptune.cluster.placement import PlacementPlan
from adaptune.errors import ResourceError
from adaptune.spec.resources import ResourcesSpec, WorkerResources

HOUR_S = 3600.0
Bundles = list[dict[str, float]]


@dataclass
class FakeCluster:
    """A cluster whose clock advances by an hour with each wait of a second."""

    nodes: Bundles = field(default_factory=list)
    requests: list[Bundles] = field(default_factory=list)
    selectors: list[list[dict[str, str]] | None] = field(default_factory=list)
    joining: dict[str, float] | None = None
    now_s: float = 0.0

    def sleep(self, seconds: float) -> None:
        self.now_s += HOUR_S * seconds
        if self.joining is not None:
            self.nodes.append(self.joining)

    def request(
        self, *, bundles: Bundles, bundle_label_selectors: list[dict[str, str]] | None
    ) -> None:
        self.requests.append(bundles)
        self.selectors.append(bundle_label_selectors)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    fake = FakeCluster()
    monkeypatch.setattr(nodes_module, "node_resources", lambda selector: fake.nodes)
    monkeypatch.setattr(nodes_module, "request_resources", fake.request)
    fake_time(monkeypatch, nodes_module, monotonic=lambda: fake.now_s)
    fake_time(monkeypatch, nodes_module, sleep=fake.sleep)
    return fake


def silent() -> Console:
    return Console(file=io.StringIO())


def test_the_nodes_of_the_first_trial_are_requested_and_waited_for(cluster: FakeCluster) -> None:
    cluster.joining = {"CPU": 2}
    output = io.StringIO()
    spec = make_search(resources={"wait_for_nodes_s": 10_000, "workers_per_trial": 2})
    plan = wait_for_plan(spec, Console(file=output, width=300))
    assert plan.max_concurrent_trials == 1
    assert cluster.requests == [[{"CPU": 1.0}, {"CPU": 1.0}]]
    assert "waiting up to 10000 s for nodes: a trial needs 2 worker(s)" in output.getvalue()
    assert output.getvalue().count("waiting") == 1


def test_waiting_for_nodes_ends_with_the_calculation(cluster: FakeCluster) -> None:
    spec = make_search(resources={"wait_for_nodes_s": 10_000, "workers_per_trial": 2})
    with pytest.raises(
        ResourceError, match=r"a trial needs 2 worker\(s\) .* but the cluster has no node"
    ):
        wait_for_plan(spec, silent())
    assert 10_000 <= cluster.now_s <= 10_000 + HOUR_S


def test_nodes_that_are_there_are_not_waited_for(cluster: FakeCluster) -> None:
    cluster.nodes.append({"CPU": 1})
    output = io.StringIO()
    assert wait_for_plan(make_search(), Console(file=output)).max_concurrent_trials == 1
    assert (cluster.now_s, output.getvalue()) == (0, "")


def test_an_autoscaler_is_asked_for_all_trials_that_may_run_at_a_time(
    cluster: FakeCluster,
) -> None:
    cluster.nodes.append({"CPU": 2, "GPU": 2})
    workers = {"workers_per_trial": 2, "gpus_per_worker": 1}
    spec = make_search(resources=workers | {"max_concurrent": 3, "accelerator_type": "A100"})
    capacity = ClusterCapacity(wait_for_plan(spec, silent()))
    for unfinished in (10, 10, 2):
        cluster.sleep(1)
        capacity(unfinished)
    worker = {"CPU": 1.0, "GPU": 1.0, "accelerator_type:A100": 0.001}
    assert cluster.requests == [[worker] * 2, [worker] * 6, [worker] * 6, [worker] * 4]


def test_each_bundle_of_a_request_has_the_label_selector(cluster: FakeCluster) -> None:
    labels = {"market": "spot"}
    request_nodes(WorkerResources(2, 1, 0.0, label_selector=labels), trials=2)
    request_nodes(WorkerResources(2, 1, 0.0), trials=2)
    assert cluster.selectors == [[labels] * 4, None]


def test_a_capacity_follows_the_nodes_and_the_workers_of_a_trial_do_not(
    cluster: FakeCluster,
) -> None:
    cluster.nodes.append({"CPU": 2})
    spec = make_search(resources={"workers_per_trial": 2})
    capacity = ClusterCapacity(wait_for_plan(spec, silent()))
    assert capacity(20) == 1
    cluster.nodes.append({"CPU": 4})
    cluster.sleep(1)
    assert capacity(20) == 3
    cluster.nodes.clear()
    cluster.sleep(1)
    assert capacity(20) == 0


def test_a_capacity_is_refreshed_now_and_then_only(cluster: FakeCluster) -> None:
    capacity = ClusterCapacity(PlacementPlan("ray_train", WorkerResources(1, 1, 0.0), 2, 9, 1))
    cluster.now_s = REFRESH_S - 0.1
    assert capacity(20) == 2  # of the plan: the nodes are not read yet
    cluster.now_s = REFRESH_S
    assert capacity(20) == 0
    assert len(cluster.requests) == 1


@pytest.mark.parametrize(
    ("wait_for_nodes_s", "timeout_s"), [(0.0, LOST_NODES_TIMEOUT_S), (7200.0, 7200.0)]
)
def test_lost_nodes_are_waited_for_for_ten_minutes_at_least(
    wait_for_nodes_s: float, timeout_s: float
) -> None:
    plan = PlacementPlan("ray_train", WorkerResources(1, 1, 0.0), 1, 1, 1)
    assert ClusterCapacity(plan, wait_for_nodes_s).node_timeout_s == timeout_s


def node(name: str, resources: dict[str, float], *, alive: bool = True, **labels: str) -> Any:
    return {
        "NodeID": name,
        "NodeManagerAddress": f"10.0.0.{name}",
        "Alive": alive,
        "Resources": resources,
        "Labels": labels,
    }


@pytest.fixture
def ray_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three nodes, of which the last one is dead."""
    nodes = [
        node("1", {"CPU": 1.0, "accelerator_type:A100": 1.0}, market="spot"),
        node("2", {"CPU": 2.0, "accelerator_type:T4": 1.0}),
        node("3", {"CPU": 4.0, "accelerator_type:A100": 1.0}, alive=False, market="spot"),
    ]
    monkeypatch.setattr(nodes_module.ray, "nodes", lambda: nodes)


@pytest.mark.usefixtures("ray_nodes")
@pytest.mark.parametrize(
    ("conditions", "cpus"),
    [
        ({}, [1, 2]),
        ({"accelerator_type": "A100"}, [1]),
        ({"label_selector": {"market": "in(spot, on-demand)"}}, [1]),
        ({"label_selector": {"market": "!spot"}}, [2]),
        ({"accelerator_type": "T4", "label_selector": {"market": "spot"}}, []),
    ],
)
def test_trials_run_on_living_nodes_with_the_requested_gpu_and_labels(
    conditions: dict[str, Any], cpus: list[float]
) -> None:
    selector = ResourcesSpec.model_validate(conditions)
    assert [resources["CPU"] for resources in node_resources(selector)] == cpus


@pytest.mark.usefixtures("ray_nodes")
def test_a_node_has_an_id_and_an_address() -> None:
    first = trial_nodes(ResourcesSpec())[0]
    assert first == ClusterNode("1", "10.0.0.1", {"CPU": 1.0, "accelerator_type:A100": 1.0})


@pytest.mark.parametrize(
    ("condition", "market", "matches"),
    [
        ("spot", "spot", True),
        ("spot", "on-demand", False),
        ("spot", None, False),
        ("!spot", "spot", False),
        ("!spot", None, True),
        ("in(spot, on-demand)", "on-demand", True),
        ("in(spot, on-demand)", "reserved", False),
        ("!in(spot, on-demand)", "on-demand", False),
        ("!in(spot, on-demand)", "reserved", True),
        ("us-east1-b.2", "us-east1-b.2", True),
    ],
)
def test_label_selectors_have_the_four_conditions_of_ray(
    condition: str, market: str | None, matches: bool
) -> None:
    labels = {} if market is None else {"market": market}
    assert has_labels(labels, {"market": condition}) is matches


def test_a_node_must_meet_all_conditions_of_a_selector() -> None:
    labels = {"market": "spot", "zone": "b"}
    assert has_labels(labels, {"market": "spot", "zone": "b"})
    assert not has_labels(labels, {"market": "spot", "zone": "!b"})
