from __future__ import annotations

import pytest
from pydantic import ValidationError

from adaptune.spec.resources import ResourcesSpec, WorkerResources


def worker_resources(**changes: object) -> WorkerResources:
    values: dict[str, object] = {
        "workers": 2,
        "cpus_per_worker": 3,
        "gpus_per_worker": 0.0,
        "accelerator_type": None,
        "label_selector": None,
        "placement_strategy": "PACK",
    }
    return WorkerResources(**(values | changes))  # type: ignore[arg-type]


def test_the_bundle_of_a_worker_on_cpus_has_no_gpu() -> None:
    assert worker_resources().bundle == {"CPU": 3.0}


def test_the_bundle_has_the_gpus_of_one_worker_and_the_trace_of_an_accelerator() -> None:
    resources = worker_resources(gpus_per_worker=0.5, accelerator_type="A100")
    assert resources.bundle == {"CPU": 3.0, "GPU": 0.5, "accelerator_type:A100": 0.001}


def test_workers_are_reused_by_default() -> None:
    assert ResourcesSpec().reuse_workers


@pytest.mark.parametrize(
    "section",
    [
        {"workers_per_trial": 0},
        {"workers_per_trial": "many"},
        {"cpus_per_worker": 0},
        {"gpus_per_worker": -0.5},
        {"max_concurrent": 0},
        {"placement_strategy": "pack"},
        {"wait_for_nodes_s": -1},
        {"fresh_workers": True},
    ],
)
def test_resources_that_make_no_sense_are_refused(section: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ResourcesSpec.model_validate(section)
