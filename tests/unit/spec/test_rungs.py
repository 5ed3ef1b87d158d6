from __future__ import annotations

from collections.abc import Callable

import pytest

from adaptune.spec import SearchSpec
from adaptune.spec.algorithms import Asha, CurveStopping, Hyperband, Median, NoScheduler, Scheduler
from adaptune.spec.rungs import rungs

Read = Callable[..., SearchSpec]
Fail = Callable[..., list[str]]
LATE = "training: {epochs: 9, classifier_from: %s}\nsearch: {scheduler: %s}\n"


@pytest.mark.parametrize(
    ("scheduler", "epochs", "expected"),
    [
        (Asha(), 9, [1, 3]),
        (Asha(), 10, [1, 3, 9]),
        (Asha(grace_epochs=2, reduction_factor=2), 16, [2, 4, 8]),
        (Asha(reduction_factor=1.5), 6, [1, 2, 3, 4, 6]),  # 1, 1.5, 2.25, 3.375, 5.0625
        (Asha(grace_epochs=9), 9, []),
        (Asha(), 1, []),
        (CurveStopping(name="curves"), 9, [1, 3]),
        (Hyperband(name="hyperband", reduction_factor=2, brackets=3), 8, [1, 2, 4]),
        (Median(name="median"), 9, []),
        (NoScheduler(name="none"), 9, []),
    ],
)
def test_rungs_are_the_epochs_before_the_last_at_which_a_trial_may_be_stopped(
    scheduler: Scheduler, epochs: int, expected: list[int]
) -> None:
    assert rungs(scheduler, epochs) == expected


@pytest.mark.parametrize(
    ("start", "scheduler", "latest", "needed"),
    [
        ("0.5", "asha", "0.5: f_T is trained after 4.5", 5),
        ("0.5", "{name: median, grace_epochs: 4}", "0.5: f_T is trained after 4.5", 5),
        ("{search: choice, values: [0.0, 0.3]}", "hyperband", "0.3: f_T is trained after 2.7", 3),
    ],
)
def test_a_scheduler_that_may_stop_trials_before_f_t_is_trained_is_refused(
    fail: Fail, start: str, scheduler: str, latest: str, needed: int
) -> None:
    (message,) = fail(LATE % (start, scheduler))
    assert message.startswith(f"space.yaml:5: training.classifier_from = {latest} of 9 epochs,")
    assert f"set search.scheduler.grace_epochs to {needed} or more, or take scheduler" in message


@pytest.mark.parametrize("scheduler", ["none", "{name: asha, grace_epochs: 5}"])
def test_a_scheduler_may_stop_trials_once_f_t_is_trained(read: Read, scheduler: str) -> None:
    spec = read(LATE % ("0.5", scheduler))
    assert spec.trial({}).training.classifier_from == 0.5
