from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim import SGD

from adaptune.spec.loss_terms import LossWeights
from adaptune.training.steps.optimization import (
    LossTerms,
    accumulated_step,
    frozen,
    optimizer_step,
    total,
    weighted_sum,
)


def test_the_weighted_sum_by_hand() -> None:
    weights = LossWeights(task=2, cycle=10, semantic=100)
    terms = {"task": torch.tensor(1.5), "cycle": torch.tensor(0.25)}
    assert weighted_sum(terms, weights) == 2 * 1.5 + 10 * 0.25


def test_the_gradient_of_a_term_is_its_weight() -> None:
    task = torch.tensor(1.5, requires_grad=True)
    weighted_sum({"task": task}, LossWeights(task=3)).backward()
    assert task.grad == 3


def test_a_term_without_a_weight_is_an_error() -> None:
    with pytest.raises(AttributeError):
        weighted_sum({"discriminator": torch.tensor(1.0)}, LossWeights())


def test_the_total_is_the_sum() -> None:
    assert total([torch.tensor(1.0), torch.tensor(2.0), torch.tensor(4.0)]) == 7


def test_a_step_descends_and_clears_the_gradients() -> None:
    parameter = nn.Parameter(torch.tensor(1.0))
    optimizer = SGD([parameter], lr=0.5)
    optimizer_step(optimizer, 3 * parameter)
    assert parameter.item() == 1 - 0.5 * 3
    assert parameter.grad is None


def test_gradients_flow_through_frozen_networks_but_not_into_them() -> None:
    network = nn.Linear(2, 1)
    x = torch.ones(1, 2, requires_grad=True)
    with frozen(network):
        network(x).sum().backward()
    assert network.weight.grad is None
    assert x.grad is not None
    assert torch.equal(x.grad, network.weight)
    assert network.weight.requires_grad


def test_networks_are_unfrozen_after_an_error() -> None:
    network = nn.Linear(2, 1)
    with pytest.raises(ZeroDivisionError), frozen(network):
        raise ZeroDivisionError
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("is_accumulated", [False, True])
def test_a_pass_after_a_step_has_the_new_weights_under_autocast(is_accumulated: bool) -> None:
    layer = nn.Linear(2, 2)
    optimizer = SGD(layer.parameters(), lr=1.0)
    images = torch.ones(1, 2)

    def loss_of(part: torch.Tensor) -> tuple[torch.Tensor, LossTerms]:
        return layer(part).float().sum(), {}

    with torch.autocast("cpu", torch.bfloat16):
        if is_accumulated:
            accumulated_step(optimizer, [layer], [images], loss_of)
        else:
            optimizer_step(optimizer, loss_of(images)[0])
        after = layer(images)
    with torch.autocast("cpu", torch.bfloat16):
        expected = layer(images)
    assert torch.equal(after, expected)


def test_no_backward_pass_is_under_autocast() -> None:
    layer = nn.Linear(2, 2)
    optimizer = SGD(layer.parameters(), lr=1.0)
    is_enabled = []
    with torch.autocast("cpu", torch.bfloat16):
        outputs = layer(torch.ones(1, 2))
        outputs.register_hook(lambda _: is_enabled.append(torch.is_autocast_enabled("cpu")))
        optimizer_step(optimizer, outputs.float().sum())
        assert torch.is_autocast_enabled("cpu")
    assert is_enabled == [False]
