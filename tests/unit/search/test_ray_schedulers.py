from __future__ import annotations

import pytest
from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    MedianStoppingRule,
    TrialScheduler,
)

from adaptune.search.protocol import EPOCH, OBJECTIVE
from adaptune.search.ray_schedulers import BracketedScheduler, RankedTrial, make_scheduler
from adaptune.spec.algorithms import Asha, Hyperband, Median, NoScheduler, Scheduler

STOP, CONTINUE = TrialScheduler.STOP, TrialScheduler.CONTINUE
ASHA = Asha(grace_epochs=1, reduction_factor=3)
MEDIAN = Median(name="median")


def ranked(scheduler: TrialScheduler, number: int) -> RankedTrial:
    """Add a trial to one of Ray's schedulers."""
    trial = RankedTrial(f"trial-{number}", number)
    scheduler.on_trial_add(None, trial)
    return trial


def rank(scheduler: TrialScheduler, trial: RankedTrial, epoch: int, accuracy: float) -> str:
    result = {EPOCH: epoch, OBJECTIVE: accuracy}
    return str(scheduler.on_trial_result(None, trial, result))


def test_hyperband_assigns_trials_to_brackets_by_their_numbers() -> None:
    options = Hyperband(name="hyperband", brackets=2)
    scheduler = BracketedScheduler(options, 9)
    for number in (0, 1):
        trial = ranked(scheduler, number)
        assert rank(scheduler, trial, 1, 0.9) == CONTINUE
    assert rank(scheduler, ranked(scheduler, 2), 1, 0.1) == STOP
    late = ranked(scheduler, 3)  # its bracket has the rung 3 only
    assert rank(scheduler, late, 1, 0.1) == CONTINUE
    assert rank(scheduler, ranked(scheduler, 5), 3, 0.9) == CONTINUE
    assert rank(scheduler, late, 3, 0.1) == STOP
    scheduler.on_trial_complete(None, late, {EPOCH: 3, OBJECTIVE: 0.1})


def test_a_bracket_whose_first_rung_is_beyond_the_last_epoch_stops_no_trial() -> None:
    options = Hyperband(name="hyperband", brackets=4)  # first rungs: 1, 3, 9 and 27
    scheduler = make_scheduler(options, 9)
    for accuracy in (0.9, 0.1):
        trial = ranked(scheduler, 3)
        for epoch in range(1, 9):
            assert rank(scheduler, trial, epoch, accuracy) == CONTINUE
        scheduler.on_trial_remove(None, trial)


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        (ASHA, AsyncHyperBandScheduler),
        (Asha(grace_epochs=20), AsyncHyperBandScheduler),  # longer than a trial
        (Hyperband(name="hyperband", grace_epochs=20), BracketedScheduler),
        (MEDIAN, MedianStoppingRule),
        (NoScheduler(name="none"), FIFOScheduler),
    ],
)
def test_every_scheduler_is_rays_of_that_name(options: Scheduler, kind: type) -> None:
    scheduler: TrialScheduler = make_scheduler(options, 9)
    assert rank(scheduler, ranked(scheduler, 0), 1, 0.5) == CONTINUE
    assert type(scheduler) is kind
