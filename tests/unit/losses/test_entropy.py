from __future__ import annotations

import math

import pytest
import torch

from adaptune.losses.entropy import entropy


def test_by_hand() -> None:
    log_p = torch.tensor([[0.75, 0.25], [0.5, 0.5]]).log()
    first = 0.75 * math.log(4 / 3) + 0.25 * math.log(4)
    torch.testing.assert_close(entropy(log_p), torch.tensor([first, math.log(2)]))
    assert entropy(log_p[0]).item() == pytest.approx(first)


def test_certainty_has_none_and_equal_probabilities_have_the_most() -> None:
    certain = (1000 * torch.eye(4)).log_softmax(dim=1)
    assert entropy(certain).tolist() == [0.0] * 4
    assert entropy(torch.zeros(2, 3, 4).log_softmax(dim=2)).shape == (2, 3)
    assert entropy(torch.zeros(4).log_softmax(dim=0)).item() == pytest.approx(math.log(4))


def test_the_gradient_is_right_and_finite_at_certainty() -> None:
    def of_logits(logits: torch.Tensor) -> torch.Tensor:
        return entropy(logits.log_softmax(dim=1))

    random = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 3, dtype=torch.float64, generator=random, requires_grad=True)
    assert torch.autograd.gradcheck(of_logits, logits)
    certain = (1000 * torch.eye(3)).requires_grad_()
    (slope,) = torch.autograd.grad(of_logits(certain).sum(), certain)
    assert slope.isfinite().all()
