from __future__ import annotations

import pytest

from adaptune.execution.ray_train import backend_of, scaling_config
from adaptune.spec.resources import WorkerResources


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        (
            WorkerResources(2, 1, 0.0),
            {"num_workers": 2, "use_gpu": False, "resources_per_worker": {"CPU": 1}},
        ),
        (
            WorkerResources(1, 4, 0.5, accelerator_type="A100"),
            {"use_gpu": True, "resources_per_worker": {"CPU": 4, "GPU": 0.5}},
        ),
        (
            WorkerResources(2, 1, 1.0, "T4", {"market": "spot"}, "STRICT_SPREAD"),
            {
                "accelerator_type": "T4",
                "label_selector": {"market": "spot"},
                "placement_strategy": "STRICT_SPREAD",
            },
        ),
    ],
)
def test_resources_are_given_to_ray_train(
    resources: WorkerResources, expected: dict[str, object]
) -> None:
    config = scaling_config(resources)
    assert {name: getattr(config, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("workers", "gpus", "backend"),
    [(2, 1.0, "cpu:gloo,cuda:nccl"), (1, 1.0, None), (1, 0.5, None), (2, 0.0, None)],
)
def test_workers_on_gpus_exchange_objects_without_them(
    workers: int, gpus: float, backend: str | None
) -> None:
    assert backend_of(WorkerResources(workers, 1, gpus)) == backend
