"""What fits on a cluster, and the arithmetic where nothing does."""

from __future__ import annotations

from typing import Any

import pytest
from support.fake_search import make_search

from adaptune.cluster.placement import PlacementPlan, plan_placement, rungs
from adaptune.errors import ResourceError, SpecError


def plan(*nodes: dict[str, float], **sections: Any) -> PlacementPlan:
    return plan_placement(make_search(**sections), nodes)


@pytest.mark.parametrize(
    ("cluster", "sections", "expected"),
    [
        ({"CPU": 2}, {}, PlacementPlan("ray_train", 2, 1, 0.0, 1, 2)),
        ({"CPU": 1}, {}, PlacementPlan("in_process", 1, 1, 0.0, 1, 1)),
        ({"CPU": 8}, {}, PlacementPlan("ray_train", 2, 1, 0.0, 4, 2)),
        ({"CPU": 2}, {"execution": "in_process"}, PlacementPlan("in_process", 1, 1, 0.0, 2, 1)),
        ({"CPU": 1}, {"execution": "ray_train"}, PlacementPlan("ray_train", 1, 1, 0.0, 1, 1)),
        ({"CPU": 2}, {"training": {"batch_size": 7}}, PlacementPlan("in_process", 1, 1, 0.0, 2, 1)),
        ({"CPU": 8, "GPU": 2}, {}, PlacementPlan("ray_train", 2, 1, 1.0, 1, 2)),
        (
            {"CPU": 8, "GPU": 2},
            {"resources": {"gpus_per_worker": 0}},
            PlacementPlan("ray_train", 2, 1, 0.0, 4, 2),
        ),
        (
            {"CPU": 32, "GPU": 1},
            {"resources": {"gpus_per_worker": 0.1, "workers_per_trial": 1}},
            PlacementPlan("in_process", 1, 1, 0.1, 10, 1),
        ),
        (
            {"CPU": 8},
            {"resources": {"max_concurrent": 3}},
            PlacementPlan("ray_train", 2, 1, 0.0, 3, 2),
        ),
        ({"CPU": 8}, {"search": {"trials": 2}}, PlacementPlan("ray_train", 2, 1, 0.0, 2, 2)),
    ],
)
def test_plans(
    cluster: dict[str, float], sections: dict[str, Any], expected: PlacementPlan
) -> None:
    assert plan(cluster, **sections) == expected


def test_what_does_not_fit_is_refused_with_the_arithmetic() -> None:
    with pytest.raises(
        ResourceError,
        match=r"4 worker\(s\) × 2 CPU = 8 CPU .* the cluster has 1 node\(s\) of 4 CPU and 0 GPU",
    ):
        plan({"CPU": 4}, resources={"workers_per_trial": 4, "cpus_per_worker": 2})
    with pytest.raises(
        ResourceError,
        match=r"2 × 1 GPU = 2 GPU, but the cluster has 1 node\(s\) of 8 CPU and 1 GPU",
    ):
        plan({"CPU": 8, "GPU": 1}, resources={"workers_per_trial": 2})


@pytest.mark.parametrize(
    ("nodes", "resources", "concurrency"),
    [
        ([{"CPU": 1}, {"CPU": 1}], {"workers_per_trial": 2}, 1),  # over two nodes
        ([{"CPU": 3}, {"CPU": 3}], {"workers_per_trial": 1, "cpus_per_worker": 2}, 2),  # not 6 // 2
        ([{"CPU": 3}, {"CPU": 3}, {}], {"workers_per_trial": 2}, 3),
        (
            [{"CPU": 3}, {"CPU": 3}],
            {"workers_per_trial": 2, "placement_strategy": "STRICT_PACK"},
            2,
        ),
        (
            [{"CPU": 5}, {"CPU": 1}],
            {"workers_per_trial": 2, "placement_strategy": "STRICT_SPREAD"},
            1,
        ),
        ([{"CPU": 2, "GPU": 1}, {"CPU": 2, "GPU": 1}], {"workers_per_trial": 2}, 1),
    ],
)
def test_trials_are_fitted_node_by_node(
    nodes: list[dict[str, float]], resources: dict[str, Any], concurrency: int
) -> None:
    assert plan(*nodes, resources=resources).concurrency == concurrency


@pytest.mark.parametrize(
    ("distribution", "workers"),
    [
        ({"search": "choice", "values": [32, 64]}, 2),
        ({"search": "choice", "values": [32, 33]}, 1),
        ({"search": "int", "low": 32, "high": 64, "step": 8}, 2),
        ({"search": "int", "low": 32, "high": 64}, 1),
    ],
)
def test_workers_must_share_every_batch_size_that_may_be_drawn(
    distribution: dict[str, Any], workers: int
) -> None:
    space = {"training.batch_size": distribution}
    assert plan({"CPU": 2}, space=space).workers == workers
    if workers == 1:
        with pytest.raises(SpecError, match="batch_size 33 cannot be shared by 2 workers"):
            plan({"CPU": 2}, space=space, resources={"workers_per_trial": 2})


def test_workers_that_only_the_sum_of_nodes_could_hold_are_refused() -> None:
    with pytest.raises(
        ResourceError, match=r"has 2 node\(s\) of 3 CPU and 0 GPU, room for 0 worker\(s\)"
    ):
        plan({"CPU": 3}, {"CPU": 3}, resources={"workers_per_trial": 1, "cpus_per_worker": 4})


def test_a_task_beside_the_trials_takes_no_more_than_one_node_has() -> None:
    assert plan({"CPU": 1}, {"CPU": 1}).task_cpus == 1
    assert plan({"CPU": 2}).task_cpus == 2


def test_wishes_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(SpecError, match="in_process runs one worker a trial, not 2"):
        plan({"CPU": 4}, execution="in_process", resources={"workers_per_trial": 2})
    with pytest.raises(SpecError, match="batch_size 32 cannot be shared by 3 workers"):
        plan({"CPU": 4}, resources={"workers_per_trial": 3})


def test_a_plan_describes_itself() -> None:
    assert (
        plan({"CPU": 2}).describe()
        == "1 trial(s) at a time, each on 2 Ray Train worker(s) of 1 CPU"
    )


@pytest.mark.parametrize(
    ("epochs", "scheduler", "expected"),
    [
        (8, {}, [1, 3]),
        (9, {}, [1, 3]),
        (10, {}, [1, 3, 9]),
        (8, {"grace_epochs": 2, "reduction_factor": 2}, [2, 4]),
        (4, {"reduction_factor": 1.5}, [1, 2, 3, 4]),  # 1, 1.5, 2.25, 3.375: from the epoch after
        (8, {"grace_epochs": 9}, []),
        (8, {"name": "none"}, []),
    ],
)
def test_rungs(epochs: int, scheduler: dict[str, Any], expected: list[int]) -> None:
    assert (
        rungs(make_search(training={"epochs": epochs}, search={"scheduler": scheduler})) == expected
    )


def test_workers_of_a_trial_do_not_share_a_gpu() -> None:
    assert plan({"CPU": 8, "GPU": 1}, resources={"gpus_per_worker": 0.25}).workers == 1
    with pytest.raises(SpecError, match="NCCL does not let two workers of a trial share a GPU"):
        plan({"CPU": 8, "GPU": 1}, resources={"gpus_per_worker": 0.25, "workers_per_trial": 2})


def test_on_a_cluster_of_others_one_worker_is_a_ray_train_worker_too() -> None:
    assert plan_placement(make_search(), [{"CPU": 8, "GPU": 1}], own=False).execution == "ray_train"
    chosen = make_search(execution="in_process")
    assert plan_placement(chosen, [{"CPU": 8, "GPU": 1}], own=False).execution == "in_process"


def test_a_refusal_names_what_the_nodes_must_have() -> None:
    with pytest.raises(
        ResourceError, match="but the cluster has no node with market=spot, accelerator_type A100"
    ):
        plan(resources={"accelerator_type": "A100", "label_selector": {"market": "spot"}})
