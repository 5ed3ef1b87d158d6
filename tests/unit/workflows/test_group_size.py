from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from support.fake_calibration import CALIBRATION, group_worker
from support.fake_run import PLAN
from support.fake_search import make_search

from adaptune.cluster.placement import PlacementPlan
from adaptune.spec.schema import SearchSpec
from adaptune.study.group_size import MAX_GROUP_SIZE, GroupSize
from adaptune.workflows.calibration import MeasuredWorker
from adaptune.workflows.group_size import MeasuredGroups, choose_group_size

SPACE = {
    "loss_weights.cycle": {"search": "loguniform", "low": 0.1, "high": 30},
    "loss_weights.feature": {"search": "uniform", "low": 0, "high": 1},
}


def make_spec(**sections: Any) -> SearchSpec:
    search = {"classifiers_per_gan": "auto", "trials": 20} | sections.pop("search", {})
    # Updates are so many that the evaluation hardly counts.
    training = {"steps_per_epoch": 10_000} | sections.pop("training", {})
    return make_search(space=SPACE, search=search, training=training, **sections)


def choose(
    calibrate: Callable[[int], MeasuredWorker],
    spec: SearchSpec | None = None,
    plan: PlacementPlan = PLAN,
    sharing: int = 1,
) -> GroupSize:
    return choose_group_size(spec or make_spec(), plan, sharing, calibrate)[0]


@pytest.mark.parametrize(
    ("added_s", "trials"),
    [(0.15, 1), (0.09, 2), (0.06, 2), (0.05, 3), (0.04, 3), (0.03, 4), (0.015, 7)],
)
def test_a_group_costs_at_most_about_twice_as_much_as_one_trial(
    added_s: float, trials: int
) -> None:
    size = choose(lambda trials: group_worker(trials, added_s))
    added = 10_000 * added_s
    assert size == GroupSize(
        trials, f"an epoch takes 1000.60 s, and each further trial adds {added:.2f} s"
    )


def test_the_evaluation_of_each_trial_counts() -> None:
    def calibrate(trials: int) -> MeasuredWorker:
        worker = group_worker(trials, added_s=0.03)
        evaluated = replace(worker.calibration, evaluation_s=trials * 5.0)
        return replace(worker, calibration=evaluated)

    # An epoch of ten updates takes 1 s, and its evaluation takes 5 s for each trial.
    assert choose(calibrate, make_spec(training={"steps_per_epoch": 10})).trials == 2


@pytest.mark.parametrize("added_s", [0.002, 0.0, -0.001])
def test_there_is_a_largest_group(added_s: float) -> None:
    size = choose(lambda trials: group_worker(trials, added_s))
    assert size.trials == MAX_GROUP_SIZE


@pytest.mark.parametrize(
    ("trials", "at_once", "expected"), [(6, 1, 6), (20, 8, 3), (16, 8, 2), (8, 8, 1), (1, 1, 1)]
)
def test_groups_leave_no_place_empty(trials: int, at_once: int, expected: int) -> None:
    plan = replace(PLAN, max_concurrent_trials=at_once)
    spec = make_spec(search={"trials": trials})
    size = choose(lambda trials: group_worker(trials, 0.001), spec, plan)
    assert size == GroupSize(
        expected, f"larger groups would be fewer than the {at_once} that fit at a time"
    )


def test_a_group_fits_into_the_memory_of_a_worker() -> None:
    def calibrate(trials: int) -> MeasuredWorker:
        return group_worker(trials, 0.001, added_bytes=1_500_000_000)

    # Of 8 GB, a single trial takes 0.4 GB; two workers share them.
    size = choose(calibrate, sharing=2)
    assert size == GroupSize(
        3,
        "of the 4.0 GB of memory of a worker, a single trial takes 400.0 MB, and each further one"
        " 1.5 GB",
    )
    assert choose(calibrate, sharing=1).trials == 6


def test_a_worker_without_room_for_a_trial_has_none_for_a_second_one() -> None:
    assert choose(lambda trials: group_worker(trials, 0.001), sharing=100).trials == 1


def test_a_smaller_group_is_measured_if_memory_runs_out() -> None:
    measured: list[int] = []

    def calibrate(trials: int) -> MeasuredWorker:
        measured.append(trials)
        if trials > limit:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return group_worker(trials, 0.06)

    limit = 2
    assert choose(calibrate).trials == 2
    assert measured == [1, 4, 2]
    limit = 1
    assert choose(calibrate) == GroupSize(1, "there is too little memory for a second trial")


def test_another_error_is_raised() -> None:
    def calibrate(trials: int) -> MeasuredWorker:
        if trials > 1:
            raise RuntimeError("a process died")
        return group_worker(trials)

    with pytest.raises(RuntimeError, match="a process died"):
        choose(calibrate)


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        (
            {"search": {"sampler": "cmaes"}},
            "sampler cmaes cannot propose settings of f_T for a given GAN",
        ),
        (
            {"training": {"semantic_gate": 0.9}},
            "with training.semantic_gate, the GAN depends on f_T",
        ),
    ],
)
def test_trials_that_cannot_share_a_gan_are_single(sections: Any, reason: str) -> None:
    measured: list[int] = []

    def calibrate(trials: int) -> MeasuredWorker:
        measured.append(trials)
        return group_worker(trials)

    assert choose(calibrate, make_spec(**sections)) == GroupSize(1, reason)
    assert measured == [1]


def test_a_group_that_was_not_measured_is_between_those_that_were() -> None:
    groups = MeasuredGroups(group_worker(1), group_worker(4), 4)
    assert groups.worker(1) == group_worker(1)
    calibration = groups.worker(7).calibration
    expected = group_worker(7).calibration
    assert calibration.step_s == pytest.approx(expected.step_s)
    assert calibration.memory_bytes == expected.memory_bytes
    assert calibration.labels_s == CALIBRATION.labels_s
