from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from adaptune.losses.classification import semantic_loss, task_loss

both = pytest.mark.parametrize("loss", [task_loss, semantic_loss])
Loss = Callable[[Tensor, Tensor], Tensor]


@both
def test_cross_entropy_by_hand(loss: Loss) -> None:
    logits = torch.tensor([[math.log(1.0), math.log(3.0)], [0.0, 0.0]])
    value = loss(logits, torch.tensor([1, 0]))
    assert value.item() == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)


@both
def test_no_idea_costs_log_k_and_certainty_nothing(loss: Loss) -> None:
    labels = torch.tensor([0, 3, 4])
    assert loss(torch.zeros(3, 5), labels).item() == pytest.approx(math.log(5))
    assert loss(1000 * torch.eye(5)[labels], labels) == 0


@both
def test_gradient_is_probability_minus_label(loss: Loss) -> None:
    logits = torch.randn(4, 3, requires_grad=True)
    labels = torch.tensor([0, 1, 2, 2])
    (slope,) = torch.autograd.grad(loss(logits, labels), logits)
    torch.testing.assert_close(slope, (logits.detach().softmax(1) - torch.eye(3)[labels]) / 4)


def test_a_smoothed_label_is_spread_over_all_classes() -> None:
    logits = torch.tensor([[math.log(1.0), math.log(3.0)]])
    loss = task_loss(logits, torch.tensor([1]), label_smoothing=0.2)
    assert loss.item() == pytest.approx(0.9 * math.log(4 / 3) + 0.1 * math.log(4))
