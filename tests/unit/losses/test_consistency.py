from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from adaptune.losses.consistency import confident_labels, consistency_loss


def test_the_teacher_is_sure_from_the_threshold_on() -> None:
    # The largest probabilities are ¾, ½ and ⅔.
    logits = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0], [0.0, math.log(2.0)]])
    labels, is_confident = confident_labels(logits, 0.6)
    assert labels.tolist() == [0, 0, 1]
    assert is_confident.tolist() == [True, False, True]
    assert confident_labels(logits, 0.5)[1].all()


def test_by_hand_the_sum_over_confident_images_is_divided_by_all() -> None:
    logits = torch.tensor([[math.log(3.0), 0.0], [5.0, 1.0], [0.0, 0.0]])
    labels = torch.tensor([1, 1, 0])
    is_confident = torch.tensor([True, False, True])
    expected = (math.log(4.0) + math.log(2.0)) / 3
    assert consistency_loss(logits, labels, is_confident).item() == pytest.approx(expected)


def test_the_gradient_is_right_and_zero_without_confidence() -> None:
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 3, dtype=torch.float64, generator=random, requires_grad=True)
    labels = torch.tensor([0, 2, 1, 1])
    is_confident = torch.tensor([True, False, True, False])

    def loss(values: Tensor) -> Tensor:
        return consistency_loss(values, labels, is_confident)

    assert torch.autograd.gradcheck(loss, logits)
    (slope,) = torch.autograd.grad(loss(logits), logits)
    assert slope[[1, 3]].abs().sum() == 0
    assert slope[[0, 2]].abs().sum() > 0


def test_without_any_confident_image_it_is_zero() -> None:
    logits = torch.zeros(5, 3)
    labels, is_confident = confident_labels(logits, 0.9)
    assert consistency_loss(logits, labels, is_confident) == 0


def test_agreement_with_certainty_is_the_minimum() -> None:
    logits = 200 * torch.eye(3)
    labels, is_confident = confident_labels(logits, 0.9)
    assert is_confident.all()
    assert consistency_loss(logits, labels, is_confident).item() == pytest.approx(0, abs=1e-6)


def test_the_mean_over_shards_is_the_same_loss() -> None:
    random = torch.Generator().manual_seed(1)
    logits = torch.randn(6, 3, generator=random)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    is_confident = torch.tensor([True, True, True, False, False, True])
    shards = []
    for rows in (slice(0, 3), slice(3, 6)):
        shards.append(consistency_loss(logits[rows], labels[rows], is_confident[rows]))
    whole = consistency_loss(logits, labels, is_confident)
    torch.testing.assert_close(torch.stack(shards).mean(), whole)
