from __future__ import annotations

import pytest

from adaptune.spec.algorithms import Asha, Hyperband, Median, NoScheduler, Scheduler
from adaptune.spec.rungs import rungs


@pytest.mark.parametrize(
    ("scheduler", "epochs", "expected"),
    [
        (Asha(), 9, [1, 3]),
        (Asha(), 10, [1, 3, 9]),
        (Asha(grace_epochs=2, reduction_factor=2), 16, [2, 4, 8]),
        (Asha(reduction_factor=1.5), 6, [1, 2, 3, 4, 6]),  # 1, 1.5, 2.25, 3.375, 5.0625
        (Asha(grace_epochs=9), 9, []),
        (Asha(), 1, []),
        (Hyperband(name="hyperband", reduction_factor=2, brackets=3), 8, [1, 2, 4]),
        (Median(name="median"), 9, []),
        (NoScheduler(name="none"), 9, []),
    ],
)
def test_rungs_are_the_epochs_before_the_last_at_which_a_trial_may_be_stopped(
    scheduler: Scheduler, epochs: int, expected: list[int]
) -> None:
    assert rungs(scheduler, epochs) == expected
