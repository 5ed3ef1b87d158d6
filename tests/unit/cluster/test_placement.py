"""Placement of trials on clusters, and the calculation if nothing fits."""

from __future__ import annotations

from typing import Any

import pytest
from support.fake_search import make_search

from adaptune.cluster.placement import (
    PlacementPlan,
    max_concurrent_trials,
    minimal_resources,
    plan_placement,
    worker_slots,
)
from adaptune.errors import ResourceError, SpecError
from adaptune.spec.resources import WorkerResources

IN_PROCESS = {"execution": "in_process"}
RAY_TRAIN = {"execution": "ray_train"}
TENTHS = {"resources": {"gpus_per_worker": 0.1, "workers_per_trial": 1}}


def plan(*nodes: dict[str, float], **sections: Any) -> PlacementPlan:
    return plan_placement(make_search(**sections), nodes)


@pytest.mark.parametrize(
    ("node", "sections", "execution", "workers", "gpus", "concurrent", "task_cpus"),
    [
        ({"CPU": 2}, {}, "ray_train", 1, 0.0, 2, 2),
        ({"CPU": 1}, {}, "ray_train", 1, 0.0, 1, 1),
        ({"CPU": 8}, {}, "ray_train", 1, 0.0, 8, 8),
        ({"CPU": 64}, {}, "ray_train", 2, 0.0, 12, 8),
        ({"CPU": 2}, IN_PROCESS, "in_process", 1, 0.0, 2, 2),
        ({"CPU": 8, "GPU": 2}, {}, "ray_train", 1, 1.0, 2, 1),
        ({"CPU": 8, "GPU": 2}, {"resources": {"gpus_per_worker": 0}}, "ray_train", 1, 0.0, 8, 8),
        ({"CPU": 32, "GPU": 1}, TENTHS, "ray_train", 1, 0.1, 10, 1),
        ({"CPU": 8}, {"resources": {"max_concurrent": 3}}, "ray_train", 2, 0.0, 3, 8),
        ({"CPU": 8}, {"search": {"trials": 2}}, "ray_train", 2, 0.0, 2, 8),
        ({"CPU": 8, "GPU": 8}, {"search": {"trials": 2}}, "ray_train", 4, 1.0, 2, 4),
        ({"CPU": 8, "GPU": 8}, {"search": {"trials": 5}}, "ray_train", 1, 1.0, 5, 1),
    ],
)
def test_trials_are_placed(
    node: dict[str, float],
    sections: dict[str, Any],
    execution: str,
    workers: int,
    gpus: float,
    concurrent: int,
    task_cpus: int,
) -> None:
    placement = plan(node, **sections)
    assert placement.execution == execution
    assert placement.resources == WorkerResources(workers, 1, gpus)
    assert placement.max_concurrent_trials == concurrent
    assert placement.task_cpus == task_cpus


def test_a_trial_has_several_workers_only_if_trials_leave_slots_empty() -> None:
    nodes = ({"CPU": 4, "GPU": 4}, {"CPU": 2, "GPU": 2}, {"CPU": 8})
    assert plan(*nodes, search={"trials": 6}).resources.workers == 1
    assert plan(*nodes, search={"trials": 3}).resources.workers == 2
    # All workers of a trial fit on the smallest node.
    assert plan(*nodes, search={"trials": 1}).resources.workers == 2


def test_more_nodes_hold_more_trials_up_to_the_limits_of_the_search() -> None:
    assert plan({"CPU": 2}).trial_limit == 12  # the trials of the search
    placement = plan({"CPU": 2}, resources={"max_concurrent": 3})
    assert placement.trial_limit == 3
    assert placement.capacity([{"CPU": 1}]) == 1
    assert placement.capacity([{"CPU": 1}, {"CPU": 1}]) == 2
    assert placement.capacity([{"CPU": 20}]) == 3
    assert placement.capacity([]) == 0


def test_the_grid_limits_the_trials() -> None:
    search = {"trials": 50, "sampler": {"name": "grid", "points": 2}}
    assert plan({"CPU": 100}, search=search).max_concurrent_trials == 4


def test_trials_that_share_a_gan_have_one_place() -> None:
    feature = {"loss_weights.feature": {"search": "uniform", "low": 0, "high": 1}}
    search = {"trials": 7, "classifiers_per_gan": 3}
    assert plan({"CPU": 32}, space=feature, search=search).max_concurrent_trials == 3


def test_trials_that_do_not_fit_are_refused_with_the_calculation() -> None:
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
    ("nodes", "resources", "concurrent"),
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
    nodes: list[dict[str, float]], resources: dict[str, Any], concurrent: int
) -> None:
    assert plan(*nodes, resources=resources).max_concurrent_trials == concurrent


@pytest.mark.parametrize(
    ("slots", "strategy", "trials"),
    [
        ([], "PACK", 0),
        ([3, 4], "PACK", 3),
        ([3, 4], "SPREAD", 3),
        ([3, 4], "STRICT_PACK", 3),
        ([1, 1, 3], "STRICT_PACK", 1),
        ([3, 4], "STRICT_SPREAD", 3),
        ([9, 1], "STRICT_SPREAD", 1),
        ([9], "STRICT_SPREAD", 0),
    ],
)
def test_strategies_limit_the_trials_of_two_workers(
    slots: list[int], strategy: str, trials: int
) -> None:
    resources = WorkerResources(2, 1, 0.0, placement_strategy=strategy)
    assert max_concurrent_trials(slots, resources) == trials


@pytest.mark.parametrize(
    ("node", "cpus", "gpus", "slots"),
    [
        ({"CPU": 8.0}, 3, 0.0, 2),
        ({"CPU": 8.0}, 1, 1.0, 0),
        ({"CPU": 8.0, "GPU": 2.0}, 1, 1.0, 2),
        ({"CPU": 1.0, "GPU": 2.0}, 1, 1.0, 1),
        ({"CPU": 32.0, "GPU": 1.0}, 1, 0.1, 10),  # 1 / 0.1 is 10, but 0.3 / 0.1 is 2.999…
        ({"CPU": 32.0, "GPU": 0.3}, 1, 0.1, 3),
        ({}, 1, 0.0, 0),
    ],
)
def test_a_node_holds_as_many_workers_as_its_scarcest_resource(
    node: dict[str, float], cpus: float, gpus: float, slots: int
) -> None:
    assert worker_slots(node, cpus, gpus) == slots


@pytest.mark.parametrize(
    ("distribution", "workers"),
    [
        ({"search": "choice", "values": [32, 64]}, 2),
        ({"search": "choice", "values": [32, 33]}, 1),
        ({"search": "int", "low": 32, "high": 64, "step": 8}, 2),
        ({"search": "int", "low": 32, "high": 64}, 1),
    ],
)
def test_every_batch_size_that_may_be_sampled_is_split_evenly_among_the_workers(
    distribution: dict[str, Any], workers: int
) -> None:
    space = {"training.batch_size": distribution}
    few = {"trials": 1}
    assert plan({"CPU": 2}, space=space, search=few).resources.workers == workers
    if workers == 1:
        with pytest.raises(SpecError, match="batch_size 33 cannot be split evenly among 2 worker"):
            plan({"CPU": 2}, space=space, resources={"workers_per_trial": 2})


def test_workers_that_only_the_sum_of_nodes_could_hold_are_refused() -> None:
    with pytest.raises(
        ResourceError, match=r"has 2 node\(s\) of 3 CPU and 0 GPU, room for 0 worker\(s\)"
    ):
        plan({"CPU": 3}, {"CPU": 3}, resources={"workers_per_trial": 1, "cpus_per_worker": 4})


def test_a_task_takes_no_more_cpus_than_one_node_has() -> None:
    assert plan({"CPU": 1}, {"CPU": 1}).task_cpus == 1
    assert plan({"CPU": 2}).task_cpus == 2


def test_requests_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(SpecError, match="in_process runs one worker per trial, not 2"):
        plan({"CPU": 4}, execution="in_process", resources={"workers_per_trial": 2})
    with pytest.raises(SpecError, match="batch_size 32 cannot be split evenly among 3 worker"):
        plan({"CPU": 4}, resources={"workers_per_trial": 3})


def test_a_batch_is_split_evenly_among_workers_and_parts() -> None:
    few = {"trials": 1}
    training = {"batch_size": 6, "accumulate": 3}
    assert plan({"CPU": 2}, training=training, search=few).resources.workers == 2
    training = {"batch_size": 9, "accumulate": 3}
    assert plan({"CPU": 2}, training=training, search=few).resources.workers == 1
    with pytest.raises(
        SpecError,
        match=r"batch_size 9 .* among 1 worker\(s\) with 2 parts each \(training.accumulate\)",
    ):
        plan({"CPU": 2}, training={"batch_size": 9, "accumulate": 2})


def test_a_plan_describes_itself() -> None:
    text = "1 trial(s) at a time, each on 2 Ray Train worker(s) of 1 CPU"
    assert plan({"CPU": 2}, resources={"workers_per_trial": 2}).describe() == text
    gpus = plan({"CPU": 2, "GPU": 1}, resources={"gpus_per_worker": 0.5}, **IN_PROCESS)
    assert gpus.describe() == (
        "2 trial(s) at a time, each on 1 in-process worker(s) of 1 CPU, 0.5 GPU"
    )


def test_a_plan_says_in_words_that_trials_share_a_gan() -> None:
    groups = plan({"CPU": 2}, search={"trials": 6}).describe(3)
    workers = "on 1 Ray Train worker(s) of 1 CPU"
    assert groups == f"2 group(s) at a time, each of up to 3 trials that share a GAN, {workers}"
    automatic = plan({"CPU": 2}, search={"trials": 6}).describe("auto")
    assert automatic == (
        f"2 trial(s), or groups of trials that share a GAN, at a time, each {workers}"
    )


def test_workers_of_a_trial_do_not_share_a_gpu() -> None:
    shared = {"gpus_per_worker": 0.25}
    assert plan({"CPU": 8, "GPU": 1}, resources=shared).resources.workers == 1
    two = shared | {"workers_per_trial": 2}
    with pytest.raises(SpecError, match="NCCL does not let two workers of a trial share a GPU"):
        plan({"CPU": 8, "GPU": 1}, resources=two)
    spread = two | {"placement_strategy": "STRICT_SPREAD"}  # each on a node of its own
    assert plan({"CPU": 1, "GPU": 1}, {"CPU": 1, "GPU": 1}, resources=spread).resources.workers == 2


def test_a_cuda_graph_takes_one_worker_and_a_gpu() -> None:
    recorded = {"cuda_graph": "on"}
    gpus = {"CPU": 8, "GPU": 8}
    assert plan(gpus, search={"trials": 2}, training=recorded).resources.workers == 1
    with pytest.raises(SpecError, match="one worker, and a trial has 2"):
        plan(gpus, resources={"workers_per_trial": 2}, training=recorded)
    with pytest.raises(SpecError, match="needs a GPU, and a trial gets none"):
        plan({"CPU": 8}, training=recorded)
    with pytest.raises(SpecError, match="needs a GPU, and a trial gets none"):
        plan(gpus, resources={"gpus_per_worker": 0}, training=recorded)


def test_a_refusal_names_the_conditions_on_nodes() -> None:
    with pytest.raises(
        ResourceError, match="but the cluster has no node with market=spot, accelerator_type A100"
    ):
        plan(resources={"accelerator_type": "A100", "label_selector": {"market": "spot"}})


def test_a_refusal_names_the_strategy() -> None:
    strict = {"workers_per_trial": 2, "placement_strategy": "STRICT_PACK"}
    with pytest.raises(ResourceError, match=r"2 × 0 GPU = 0 GPU, placed STRICT_PACK, but"):
        plan({"CPU": 1}, {"CPU": 1}, resources=strict)


def test_the_least_of_a_trial_is_one_worker_without_a_gpu_unless_more_is_requested() -> None:
    assert minimal_resources(make_search().resources) == WorkerResources(1, 1, 0.0)
    requested = {"workers_per_trial": 4, "gpus_per_worker": 2, "accelerator_type": "A100"}
    resources = minimal_resources(make_search(resources=requested).resources)
    assert resources == WorkerResources(4, 1, 2.0, accelerator_type="A100")
