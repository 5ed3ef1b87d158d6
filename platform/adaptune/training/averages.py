"""Exponential moving averages of networks, which replace them in evaluation and exports."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class MovingAverage:
    """A moving average that starts as a copy of a network, frozen and in eval mode.

    Floating-point buffers, such as the running statistics of batch norm, are averaged in the same
    way as the parameters. Other buffers, such as indices, are those of the network.

    Args:
        network: a network on its device, neither compiled nor wrapped.
        decay: the decay after the warm-up, see `warmed_up_decay`.

    Attributes:
        module: the averaged network, changed in place.
        weight: the weight of the network in the coming update, in [0, 1]; a scalar on the device
            if it is a tensor, which each replay of a recorded update reads.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay
        self.weight: float | Tensor = 1.0
        self.set_weight(0)

    def set_weight(self, update: int) -> None:
        """Set the weight of the coming update, which is number `update`, counted from 0."""
        self.weight = 1.0 - warmed_up_decay(self._decay, update)

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the average after an update of the network."""
        averages = []
        values = []
        for average, value in zip(_tensors(self.module), _tensors(network), strict=True):
            if value.is_floating_point():
                averages.append(average)
                values.append(value)
            else:
                average.copy_(value)
        _lerp(averages, values, self.weight)


def warmed_up_decay(decay: float, step: int) -> float:
    """Return min(decay, (1 + step) / (10 + step)), the decay of update `step`, counted from 0.

    The memory is short at first, so that the average soon forgets the initial weights.
    """
    return min(decay, (1 + step) / (10 + step))


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]


def _lerp(averages: list[Tensor], values: list[Tensor], weight: float | Tensor) -> None:
    """Add weight · (value - average) to each average."""
    if isinstance(weight, Tensor):
        torch._foreach_lerp_(averages, values, [weight] * len(averages))
    else:
        torch._foreach_lerp_(averages, values, weight)
