from __future__ import annotations

import math

import pytest
import torch

from adaptune.losses.feature import domain_accuracy, feature_discriminator_loss, feature_loss

SAYS_SOURCE, SAYS_TARGET = torch.tensor([[0.0, 1000.0]]), torch.tensor([[1000.0, 0.0]])


def test_no_idea_costs_log_2() -> None:
    zeros = torch.zeros(3, 2)
    assert feature_discriminator_loss(zeros, zeros).item() == pytest.approx(math.log(2))
    assert feature_loss(zeros).item() == pytest.approx(math.log(2))


def test_a_right_discriminator_pays_nothing_and_the_features_pay_for_it() -> None:
    assert feature_discriminator_loss(SAYS_SOURCE, SAYS_TARGET) == 0
    assert feature_loss(SAYS_TARGET) == 1000
    assert feature_loss(SAYS_SOURCE) == 0


def test_mean_over_all_rows_of_both_domains() -> None:
    source, target = torch.zeros(1, 2), SAYS_TARGET.repeat(3, 1)
    assert feature_discriminator_loss(source, target).item() == pytest.approx(math.log(2) / 4)


def test_gradients_are_opposite_on_target_rows() -> None:
    logits = torch.zeros(2, 2, requires_grad=True)
    (flipped,) = torch.autograd.grad(feature_loss(logits), logits)
    torch.testing.assert_close(flipped, torch.tensor([[0.25, -0.25]] * 2))
    (own,) = torch.autograd.grad(feature_discriminator_loss(torch.zeros(2, 2), logits), logits)
    torch.testing.assert_close(own, torch.tensor([[-0.125, 0.125]] * 2))


@pytest.mark.parametrize(
    ("source", "target", "accuracy"),
    [
        (SAYS_SOURCE, SAYS_TARGET, 1.0),
        (SAYS_TARGET, SAYS_SOURCE, 0.0),
        (SAYS_SOURCE, SAYS_SOURCE, 0.5),
        (SAYS_SOURCE.repeat(3, 1), SAYS_SOURCE, 0.75),
    ],
)
def test_domain_accuracy(source: torch.Tensor, target: torch.Tensor, accuracy: float) -> None:
    assert domain_accuracy(source, target) == accuracy
