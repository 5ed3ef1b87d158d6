from __future__ import annotations

import math

import pytest
import torch

from adaptune.losses.feature import domain_accuracy, feature_discriminator_loss, feature_loss

SOURCE_LOGITS = torch.tensor([[0.0, 1000.0]])  # D_feat is certain of the source
TARGET_LOGITS = torch.tensor([[1000.0, 0.0]])


def test_no_idea_costs_log_2() -> None:
    zeros = torch.zeros(3, 2)
    assert feature_discriminator_loss(zeros, zeros).item() == pytest.approx(math.log(2))
    assert feature_loss(zeros).item() == pytest.approx(math.log(2))


def test_a_right_discriminator_pays_nothing_and_the_features_pay_for_it() -> None:
    assert feature_discriminator_loss(SOURCE_LOGITS, TARGET_LOGITS) == 0
    assert feature_loss(TARGET_LOGITS) == 1000
    assert feature_loss(SOURCE_LOGITS) == 0


def test_mean_over_all_rows_of_both_domains() -> None:
    source, target = torch.zeros(1, 2), TARGET_LOGITS.repeat(3, 1)
    assert feature_discriminator_loss(source, target).item() == pytest.approx(math.log(2) / 4)


def test_feature_losses_by_hand() -> None:
    """Rows (1, 3) and (3, 1) of unnormalised probabilities: source with ¾ and with ¼."""
    logits = torch.tensor([[0.0, math.log(3.0)], [math.log(3.0), 0.0]])
    as_source = -(math.log(0.75) + math.log(0.25)) / 2
    assert feature_loss(logits).item() == pytest.approx(as_source)
    right = feature_discriminator_loss(logits[:1], logits[1:])
    assert right.item() == pytest.approx(-math.log(0.75))
    wrong = feature_discriminator_loss(logits[1:], logits[:1])
    assert wrong.item() == pytest.approx(-math.log(0.25))


def test_gradients_are_opposite_on_target_rows() -> None:
    logits = torch.zeros(2, 2, requires_grad=True)
    (flipped,) = torch.autograd.grad(feature_loss(logits), logits)
    torch.testing.assert_close(flipped, torch.tensor([[0.25, -0.25]] * 2))
    loss = feature_discriminator_loss(torch.zeros(2, 2), logits)
    (straight,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(straight, torch.tensor([[-0.125, 0.125]] * 2))


@pytest.mark.parametrize(
    ("source", "target", "accuracy"),
    [
        (SOURCE_LOGITS, TARGET_LOGITS, 1.0),
        (TARGET_LOGITS, SOURCE_LOGITS, 0.0),
        (SOURCE_LOGITS, SOURCE_LOGITS, 0.5),
        (SOURCE_LOGITS.repeat(3, 1), SOURCE_LOGITS, 0.75),
    ],
)
def test_domain_accuracy(source: torch.Tensor, target: torch.Tensor, accuracy: float) -> None:
    assert domain_accuracy(source, target) == accuracy
