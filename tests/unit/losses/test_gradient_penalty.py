from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from adaptune.losses.gradient_penalty import gradient_penalty


def images(count: int = 3) -> Tensor:
    random = torch.Generator().manual_seed(0)
    values = torch.randn(count, 2, 4, 4, dtype=torch.float64, generator=random)
    return values.requires_grad_()


def test_by_hand() -> None:
    """D(x) is a · Σ x² of an image: the gradient is 2 a x."""
    x = images()
    logits = 3 * x.square().sum(dim=(1, 2, 3))
    expected = 36 * x.square().sum(dim=(1, 2, 3)).mean()
    torch.testing.assert_close(gradient_penalty(logits, x), expected)


def test_the_logits_of_all_patches_are_summed_before_the_norm() -> None:
    x = images()
    opposite = torch.stack([x.sum(dim=1), -x.sum(dim=1)], dim=1)
    assert gradient_penalty(opposite, x) == 0
    twice = torch.stack([x.sum(dim=1), x.sum(dim=1)], dim=1)
    assert gradient_penalty(twice, x) == 4 * x[0].numel()


def test_a_constant_discriminator_has_no_penalty() -> None:
    x = images()
    assert gradient_penalty(x.sum(dim=(1, 2, 3)) * 0 + 5, x) == 0


def test_the_gradient_to_the_parameters_by_hand_and_numerically() -> None:
    x = images()
    scale = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    penalty = gradient_penalty(scale * x.square().sum(dim=(1, 2, 3)), x)
    (slope,) = torch.autograd.grad(penalty, scale)
    torch.testing.assert_close(slope, 2 * penalty.detach() / 3)

    random = torch.Generator().manual_seed(1)
    weight = torch.randn(3, 2, 3, 3, dtype=torch.float64, generator=random, requires_grad=True)

    def of_convolution(weight: Tensor) -> Tensor:
        return gradient_penalty(F.conv2d(x, weight).tanh(), x)

    assert torch.autograd.gradcheck(of_convolution, weight)


def test_the_mean_over_parts_of_a_batch_is_that_of_the_batch() -> None:
    x = images(4)

    def penalty(part: Tensor) -> Tensor:
        inputs = part.detach().requires_grad_()
        return gradient_penalty(inputs.pow(3).sum(dim=(1, 2, 3)), inputs)

    parts = torch.stack([penalty(part) for part in x.split(2)]).mean()
    torch.testing.assert_close(parts, penalty(x))
