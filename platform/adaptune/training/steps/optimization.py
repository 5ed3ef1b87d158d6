"""Weighted sums of loss terms, and the updates that minimise them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from adaptune.spec.loss_terms import LossWeights
from adaptune.training.distributed import no_gradient_sync

Part = TypeVar("Part")
LossTerms = dict[str, Tensor]  # unweighted scalars by the name of the term


def weighted_sum(terms: Mapping[str, Tensor], weights: LossWeights) -> Tensor:
    """Compute Σ λ · term over the given terms: scalars → scalar."""
    weighted = [getattr(weights, name) * value for name, value in terms.items()]
    return total(weighted)


def detached(terms: Mapping[str, Tensor]) -> LossTerms:
    """Return the same scalars without the graphs that computed them."""
    return {name: value.detach() for name, value in terms.items()}


def total(values: Sequence[Tensor]) -> Tensor:
    """Compute the sum of scalars: scalars → scalar."""
    return torch.stack(list(values)).sum()


def optimizer_step(optimizer: Optimizer, loss: Tensor) -> None:
    """Make one step that minimises a scalar loss, and clear the gradients."""
    _backward(loss)
    _step(optimizer)


def accumulated_step(
    optimizer: Optimizer,
    networks: Sequence[nn.Module],
    parts: Sequence[Part],
    loss_of: Callable[[Part], tuple[Tensor, LossTerms]],
) -> LossTerms:
    """Make one step that minimises the mean loss over parts of a batch, all of the same size.

    What is stored for the gradients of a part is freed before the next one.

    Args:
        networks: the networks that the optimizer updates.
        loss_of: computes the loss of a part, a scalar, and its terms.

    Returns:
        The mean of each term over the parts, detached.
    """
    means: LossTerms = {}
    for part in parts:
        with ExitStack() as stack:
            if part is not parts[-1]:  # workers exchange their gradients once per step
                for network in networks:
                    stack.enter_context(no_gradient_sync(network))
            loss, terms = loss_of(part)
            _backward(_share(loss, len(parts)))
        for name, value in terms.items():
            share = _share(value.detach(), len(parts))
            means[name] = means[name] + share if name in means else share
    _step(optimizer)
    return means


def _share(value: Tensor, parts: int) -> Tensor:
    return value if parts == 1 else value / parts


def _backward(loss: Tensor) -> None:
    """Add the gradients of a scalar to those of the parameters, in the types of its forward pass.

    Under autocast, the second derivatives of a float32 convolution would be computed in bfloat16.
    """
    with torch.autocast(loss.device.type, enabled=False):
        loss.backward()


def _step(optimizer: Optimizer) -> None:
    """Make a step, and clear the gradients."""
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    # Autocast keeps its copies of weights until its context ends, and would use old ones.
    torch.clear_autocast_cache()


@contextmanager
def frozen(*modules: nn.Module) -> Iterator[None]:
    """Let gradients flow through networks, but not into their parameters."""
    for module in modules:
        module.requires_grad_(False)
    try:
        yield
    finally:
        for module in modules:
            module.requires_grad_(True)
