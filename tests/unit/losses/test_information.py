from __future__ import annotations

import math

import pytest
import torch

from adaptune.losses.information import information_loss


def test_certain_and_balanced_is_the_minimum() -> None:
    assert information_loss(200 * torch.eye(4).repeat(3, 1)).item() == pytest.approx(-math.log(4))


@pytest.mark.parametrize("logits", [torch.zeros(6, 4), 200 * torch.eye(4)[[2] * 6]])
def test_undecided_or_one_class_for_all_is_no_information(logits: torch.Tensor) -> None:
    assert information_loss(logits).item() == pytest.approx(0, abs=1e-6)


def test_by_hand() -> None:
    """Rows (¾, ¼) and (1, 0) to rounding: mean (⅞, ⅛)."""
    logits = torch.tensor([[math.log(3.0), 0.0], [100.0, 0.0]])

    def entropy(p: float) -> float:
        return -p * math.log(p) - (1 - p) * math.log(1 - p)

    assert information_loss(logits).item() == pytest.approx(entropy(0.75) / 2 - entropy(0.875))


@pytest.mark.parametrize("scale", [0.0, 0.1, 1.0, 10.0, 1000.0])
@pytest.mark.parametrize("classes", [2, 10])
def test_bounds(scale: float, classes: int) -> None:
    logits = scale * torch.randn(64, classes, generator=torch.Generator().manual_seed(0))
    assert -math.log(classes) - 1e-5 <= information_loss(logits).item() <= 1e-5


def test_gradient_numerically_and_finite_at_certainty() -> None:
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 3, dtype=torch.float64, generator=random, requires_grad=True)
    assert torch.autograd.gradcheck(information_loss, logits)
    certain = (1000 * torch.eye(3)).requires_grad_()
    (slope,) = torch.autograd.grad(information_loss(certain), certain)
    assert slope.isfinite().all()


def test_the_mean_over_shards_is_another_loss() -> None:
    """A training step must gather: each shard predicts one class, which is no information."""
    logits = 200 * torch.eye(2).repeat_interleave(4, dim=0)
    shards = torch.stack([information_loss(part) for part in logits.split(4)]).mean()
    assert shards.item() == pytest.approx(0, abs=1e-6)
    assert information_loss(logits).item() == pytest.approx(-math.log(2))
