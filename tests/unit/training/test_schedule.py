from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim import Adam

from adaptune.training.schedule import LR_FACTOR, inverse_lr_factor, lr_factor, set_lr


def test_schedule_against_golden_factors() -> None:
    golden = [1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2]
    assert [lr_factor(step / 10, 0.5) for step in range(10)] == pytest.approx(golden)
    assert lr_factor(1.0, 0.5) == 0


def test_schedule_from_the_start_and_never() -> None:
    assert [lr_factor(progress, 0.0) for progress in (0.0, 0.25, 0.5)] == [1.0, 0.75, 0.5]
    assert [lr_factor(progress, 1.0) for progress in (0.0, 0.5, 1.0)] == [1.0, 1.0, 1.0]


def test_all_parameter_groups_get_the_rate() -> None:
    groups = [{"params": [nn.Parameter(torch.zeros(1))]} for _ in range(2)]
    optimizer = Adam(groups, lr=1.0)
    set_lr(optimizer, 0.25)
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.25]


def test_the_inverse_schedule_against_golden_factors() -> None:
    golden = [1, 0.594604, 0.260847, 0.165560]
    factors = [inverse_lr_factor(progress) for progress in (0.0, 0.1, 0.5, 1.0)]
    assert factors == pytest.approx(golden, abs=1e-6)


def test_a_group_may_have_a_rate_of_its_own() -> None:
    first = {"params": [nn.Parameter(torch.zeros(1))], LR_FACTOR: 0.1}
    optimizer = Adam([first, {"params": [nn.Parameter(torch.zeros(1))]}], lr=1.0)
    set_lr(optimizer, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.5]
