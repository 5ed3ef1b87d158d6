from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from support.fake_calibration import CALIBRATION
from support.fake_run import PLAN, make_tiny_search

from adaptune.spec.schema import SearchSpec, TrialSpec
from adaptune.training.calibration import Calibration
from adaptune.training.calibration_data import DataSizes
from adaptune.workflows.calibration import (
    calibrate_on_cluster,
    largest_trial,
    mean,
    typical_trial,
    workers_per_node,
)

SIZES = DataSizes(classes=3, source_train=14, source_val=6, target_train=11, target_val=9)
WIDTHS = {"search": "int", "low": 4, "high": 12, "step": 4}
SPACE: dict[str, Any] = {
    "loss_weights.cycle": {"search": "loguniform", "low": 0.1, "high": 10},
    "loss_weights.identity": {"search": "uniform", "low": 0, "high": 5},
}


@dataclass
class FakeTasks:
    """Tasks whose calibration depends on the width of the generators."""

    submitted: list[tuple[str, int, int]] = field(default_factory=list)

    def submit(
        self, name: str, function: Callable[..., Any], *arguments: Any, cpus: int, max_retries: int
    ) -> TrialSpec:
        self.submitted.append((name, cpus, max_retries))
        trial: TrialSpec = arguments[0]
        return trial

    def results(self, trials: list[TrialSpec]) -> list[Calibration]:
        calibrations = []
        for number, trial in enumerate(trials):
            width = trial.model.generator.width
            step_s = width + number
            calibrations.append(replace(CALIBRATION, step_s=step_s, memory_bytes=width))
        return calibrations


def calibrate(spec: SearchSpec) -> tuple[Calibration, FakeTasks]:
    tasks = FakeTasks()
    cluster_tasks: Any = tasks
    return calibrate_on_cluster(spec, SIZES, PLAN, 2, cluster_tasks).calibration, tasks


def test_the_copies_run_as_tasks_of_a_worker_that_are_not_repeated() -> None:
    calibration, tasks = calibrate(make_tiny_search())
    assert tasks.submitted == [("calibration 0", 1, 0), ("calibration 1", 1, 0)]
    assert calibration.step_s == 4.5


def test_searched_networks_are_measured_twice() -> None:
    calibration, tasks = calibrate(make_tiny_search(space={"model.generator.width": WIDTHS}))
    assert len(tasks.submitted) == 4
    assert calibration.step_s == 8.5  # of the middle width
    assert calibration.memory_bytes == 12


def test_a_typical_trial_has_all_terms_that_are_searched() -> None:
    weights = typical_trial(make_tiny_search(space=SPACE)).loss_weights
    assert (weights.cycle, weights.identity) == (pytest.approx(1.0), 2.5)


def test_the_largest_trial_has_the_largest_batch_and_networks() -> None:
    batches = {"search": "choice", "values": [8, 64, 16]}
    space = SPACE | {"training.batch_size": batches, "model.generator.width": WIDTHS}
    trial = largest_trial(make_tiny_search(space=space))
    assert (trial.training.batch_size, trial.model.generator.width) == (64, 12)
    assert trial.loss_weights.identity == 2.5


def test_a_value_whose_condition_is_not_met_is_not_drawn() -> None:
    sizes = {
        "search": "int",
        "low": 8,
        "high": 64,
        "when": {"training.gan_loss": "log"},
        "otherwise": 4,
    }
    losses = {"search": "choice", "values": ["log", "lsgan"]}
    space = SPACE | {"training.batch_size": sizes, "training.gan_loss": losses}
    assert typical_trial(make_tiny_search(space=space)).training.batch_size == 4


def test_the_mean_keeps_the_largest_memory() -> None:
    other = replace(CALIBRATION, step_s=0.3, memory_bytes=5, available_bytes=7)
    both = mean([CALIBRATION, other])
    assert both.step_s == pytest.approx(0.2)
    assert both.memory_bytes == CALIBRATION.memory_bytes
    assert both.available_bytes == 7


@pytest.mark.parametrize(("at_once", "cpus", "workers"), [(1, 8, 2), (3, 8, 6), (9, 8, 8)])
def test_workers_of_several_trials_share_a_node(at_once: int, cpus: int, workers: int) -> None:
    plan = replace(PLAN, max_concurrent_trials=at_once)
    assert workers_per_node(plan, [{"CPU": 1.0}, {"CPU": float(cpus)}]) == workers
