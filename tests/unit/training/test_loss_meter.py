from __future__ import annotations

import math

import pytest
import torch
from support.tiny_trial import CPU

from adaptune.errors import NonFiniteLossError
from adaptune.spec.loss_terms import LossWeights
from adaptune.training.loss_meter import LossMeter


def make_meter() -> LossMeter:
    return LossMeter(LossWeights(cycle=7), CPU)


def scalars(**terms: float) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value) for name, value in terms.items()}


def test_means_over_the_updates_by_hand() -> None:
    meter = make_meter()
    meter.add(1, scalars(task=1.0, cycle=4.0))
    meter.add(2, scalars(task=2.0, cycle=8.0))
    meter.add(3, scalars(task=6.0, cycle=0.0))
    assert meter.means() == {"cycle": 4.0, "task": 3.0}
    assert meter.running_means() == ({"cycle": 4.0, "task": 3.0}, 3)


def test_nothing_was_added() -> None:
    assert make_meter().running_means() == ({}, 0)


def test_half_precision_is_summed_in_single_precision() -> None:
    meter = make_meter()
    for step in range(1, 1001):
        meter.add(step, {"task": torch.tensor(0.125, dtype=torch.bfloat16)})
    assert meter.means() == {"task": 0.125}


def test_an_interrupted_epoch_counts_with_its_updates() -> None:
    meter = make_meter()
    meter.resume({"task": 2.0}, updates=3)
    meter.add(4, scalars(task=6.0))
    assert meter.running_means() == ({"task": 3.0}, 4)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_first_term_that_is_not_finite_is_named_with_its_step_and_the_weights(
    bad: float,
) -> None:
    meter = make_meter()
    meter.add(11, scalars(task=1.0, cycle=1.0))
    meter.add(12, scalars(task=1.0, cycle=bad))
    meter.add(13, scalars(task=bad, cycle=1.0))
    with pytest.raises(
        NonFiniteLossError, match=r"term `cycle` is not finite at step 12 .*cycle 7.*; lower the"
    ):
        meter.means()


def test_opposite_infinities_are_found_too() -> None:
    meter = make_meter()
    meter.add(1, scalars(task=math.inf))
    meter.add(2, scalars(task=-math.inf))
    with pytest.raises(NonFiniteLossError, match="`task` is not finite at step 1 "):
        meter.means()


def test_a_bad_value_before_an_interruption_is_found_after_it() -> None:
    meter = make_meter()
    meter.resume({"task": math.nan}, updates=3)
    meter.add(4, scalars(task=1.0))
    with pytest.raises(NonFiniteLossError, match="`task` is not finite at step 4 "):
        meter.means()
