"""Exponential moving averages of networks, which replace them in evaluation and exports."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

Tensors = tuple[Tensor, ...] | list[Tensor]


class _HostCounter(Tensor):
    """A counter that stays on the CPU.

    `AveragedModel` copies its counter to the network's device at each update, and the CPU would
    wait there for the GPU.
    """

    def to(self, *_: object, **__: object) -> _HostCounter:
        return self


def moving_average(network: nn.Module, decay: float) -> AveragedModel:
    """Return a moving average that starts as a copy of a network, frozen and in eval mode.

    `update_parameters` moves it after each update of the network. Floating-point buffers, such as
    the running statistics of batch norm, are averaged in the same way as the parameters. Other
    buffers, such as indices, are those of the network.

    Args:
        network: a network on its device, neither compiled nor wrapped.
        decay: the decay after the warm-up, see `warmed_up_decay`.
    """
    average = AveragedModel(network, multi_avg_fn=_warmed_up_average(decay), use_buffers=True)
    # AveragedModel takes a copy of the network at count 0, and averages from count 1.
    average.n_averaged = torch.ones((), dtype=torch.long).as_subclass(_HostCounter)
    average.eval().requires_grad_(False)
    return average


def resume_average(average: AveragedModel, weights: Mapping[str, Tensor], updates: int) -> None:
    """Bring an average to the state that it had after `updates` updates.

    Args:
        weights: state dict of the averaged network, `average.module`.
    """
    average.module.load_state_dict(weights)
    average.n_averaged.fill_(updates + 1)


def warmed_up_decay(decay: float, step: int) -> float:
    """Return min(decay, (1 + step) / (10 + step)), the decay of update `step`, counted from 0.

    The memory is short at first, so that the average soon forgets the initial weights.
    """
    return min(decay, (1 + step) / (10 + step))


def _warmed_up_average(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    # AveragedModel passes tensors of one type at a time.
    def update(averages: Tensors, values: Tensors, count: Tensor | int) -> None:
        if not averages[0].is_floating_point():
            for average, value in zip(averages, values, strict=True):
                average.copy_(value)
            return
        step = int(count) - 1
        get_ema_multi_avg_fn(warmed_up_decay(decay, step))(averages, values, count)

    return update
