from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from adaptune.losses.reconstruction import cycle_loss, identity_loss

both = pytest.mark.parametrize("loss", [cycle_loss, identity_loss])
Loss = Callable[[Tensor, Tensor], Tensor]


@both
def test_mean_absolute_difference_by_hand(loss: Loss) -> None:
    images = torch.tensor([[[[1.0, -1.0]]]])
    translated = torch.tensor([[[[0.5, 1.0]]]])
    assert loss(images, translated) == 1.25


@both
def test_exactly_zero_for_equal_images(loss: Loss) -> None:
    images = torch.randn(2, 3, 4, 4)
    assert loss(images, images.clone()) == 0


@both
def test_at_most_2_for_images(loss: Loss) -> None:
    assert loss(torch.ones(2, 1, 4, 4), -torch.ones(2, 1, 4, 4)) == 2


@both
def test_gradient_is_the_sign_over_the_pixels(loss: Loss) -> None:
    images = torch.zeros(1, 1, 2, 2)
    translated = torch.tensor([[[[0.5, -2.0], [0.0, 1.0]]]], requires_grad=True)
    (slope,) = torch.autograd.grad(loss(images, translated), translated)
    torch.testing.assert_close(slope, torch.tensor([[[[0.25, -0.25], [0.0, 0.25]]]]))
