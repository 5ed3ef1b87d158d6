from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from adaptune.losses.confusion import confusion_loss

TEMPERATURE = 2.5


def random_logits(count: int, classes: int, scale: float = 3.0) -> Tensor:
    random = torch.Generator().manual_seed(0)
    return scale * torch.randn(count, classes, dtype=torch.float64, generator=random)


def confusion_by_matrices(logits: Tensor, weights: Tensor) -> Tensor:
    """The loss by its definition, for given weights of the images."""
    p = (logits / TEMPERATURE).softmax(dim=1)
    correlations = p.T @ torch.diag(weights) @ p
    normalised = correlations / correlations.sum(dim=1, keepdim=True)
    return (normalised.sum() - normalised.trace()) / len(normalised)


def weights_of(logits: Tensor) -> Tensor:
    entropy = torch.distributions.Categorical(logits=logits / TEMPERATURE).entropy()
    weights = 1 + torch.exp(-entropy)
    return len(weights) * weights / weights.sum()


def test_by_hand() -> None:
    """Rows (¾, ¼) and (1, 0) to rounding."""
    logits = torch.tensor([[2 * math.log(3.0), 0.0], [400.0, 0.0]])
    first = 1 + math.exp(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    second = 2.0
    row_0 = 0.75 * 0.25 * first / (0.75 * first + second)  # outside the diagonal
    row_1 = 0.75
    assert confusion_loss(logits, 2.0).item() == pytest.approx((row_0 + row_1) / 2)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_it_is_that_of_the_matrices_of_the_paper(classes: int) -> None:
    logits = random_logits(7, classes)
    expected = confusion_by_matrices(logits, weights_of(logits))
    torch.testing.assert_close(confusion_loss(logits, TEMPERATURE), expected)


def test_certain_predictions_are_not_confused_however_often_each_class_is_predicted() -> None:
    logits = 500 * torch.eye(3)[[0, 0, 0, 0, 1, 2]]
    assert confusion_loss(logits, TEMPERATURE).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("logits", [torch.zeros(6, 4), 500 * torch.eye(4)[[2] * 6]])
def test_undecided_or_one_class_for_all_is_the_maximum(logits: Tensor) -> None:
    assert confusion_loss(logits, TEMPERATURE).item() == pytest.approx(0.75)


def test_a_higher_temperature_blurs_predictions() -> None:
    logits = random_logits(20, 4)
    losses = [confusion_loss(logits, temperature).item() for temperature in (0.5, 1.0, 5.0)]
    assert losses == sorted(losses)
    assert losses[0] < losses[-1]


def test_the_gradient_is_right_and_leaves_the_weights_of_the_images_out() -> None:
    logits = random_logits(6, 3).requires_grad_()
    weights = weights_of(logits.detach())

    def with_fixed_weights(values: Tensor) -> Tensor:
        return confusion_by_matrices(values, weights)

    assert torch.autograd.gradcheck(with_fixed_weights, logits)
    (expected,) = torch.autograd.grad(with_fixed_weights(logits), logits)
    (slope,) = torch.autograd.grad(confusion_loss(logits, TEMPERATURE), logits)
    torch.testing.assert_close(slope, expected)


def test_the_gradient_is_finite_for_a_class_of_probability_zero() -> None:
    logits = (1000 * torch.eye(3)[[0, 1, 1]]).requires_grad_()
    loss = confusion_loss(logits, TEMPERATURE)
    (slope,) = torch.autograd.grad(loss, logits)
    assert loss.isfinite()
    assert slope.isfinite().all()


def test_the_mean_over_shards_is_another_loss() -> None:
    """A training step must gather: a shard in which one class is predicted is all confusion."""
    logits = 500 * torch.eye(2).repeat_interleave(4, dim=0)
    shards = torch.stack([confusion_loss(part, TEMPERATURE) for part in logits.split(4)]).mean()
    assert shards.item() == pytest.approx(0.5)
    assert confusion_loss(logits, TEMPERATURE).item() == pytest.approx(0, abs=1e-6)


def test_bf16_is_close_to_fp32() -> None:
    logits = random_logits(64, 10).float()
    with torch.autocast("cpu", torch.bfloat16):
        rounded = confusion_loss(logits.bfloat16(), TEMPERATURE)
    assert rounded.dtype == torch.float32
    assert rounded.item() == pytest.approx(confusion_loss(logits, TEMPERATURE).item(), rel=0.01)
