"""Weighted sums of loss terms, and the updates that minimise them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from adaptune.spec.loss_terms import LossWeights

LossTerms = dict[str, Tensor]  # unweighted scalars by the name of the term


def weighted_sum(terms: Mapping[str, Tensor], weights: LossWeights) -> Tensor:
    """Compute Σ λ · term over the given terms: scalars → scalar."""
    weighted = [getattr(weights, name) * value for name, value in terms.items()]
    return total(weighted)


def total(values: Sequence[Tensor]) -> Tensor:
    """Compute the sum of scalars: scalars → scalar."""
    return torch.stack(list(values)).sum()


def optimizer_step(optimizer: Optimizer, loss: Tensor) -> None:
    """Make one step that minimises a scalar loss, and clear the gradients."""
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


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
