"""The rates of an update, which follow schedules, as tensors that a recorded update reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from adaptune.training.averages import MovingAverage
from adaptune.training.state import TrainingState

T = TypeVar("T")


class Rates(NamedTuple):
    """The rates of an update.

    Attributes:
        learning: learning rate of each group of parameters, (R,).
        averaging: weight of the network in each moving average, float32 (A,).
    """

    learning: Tensor
    averaging: Tensor


def rates_of(group: Sequence[TrainingState]) -> Rates:
    """Return the rates of the coming update of trials, on the CPU."""
    # Fused optimizers read float32 on a GPU, and compute with float64 on the CPU.
    is_on_gpu = group[0].device.type == "cuda"
    learning = [parameters["lr"] for parameters in _parameter_groups(group)]
    averaging = [average.weight for average in _averages(group)]
    return Rates(
        learning=torch.tensor(learning, dtype=torch.float32 if is_on_gpu else torch.float64),
        averaging=torch.tensor(averaging, dtype=torch.float32),
    )


@contextmanager
def rates_on_device(group: Sequence[TrainingState], rates: Rates) -> Iterator[None]:
    """Let an update read its rates on the device while it is recorded.

    Args:
        rates: rates on the device, which later updates change in place.
    """
    parameter_groups = _parameter_groups(group)
    averages = _averages(group)
    learning = [parameters["lr"] for parameters in parameter_groups]
    averaging = [average.weight for average in averages]
    _set_learning(parameter_groups, rates.learning.unbind(), is_recorded=True)
    _set_averaging(averages, rates.averaging.unbind())
    try:
        yield
    finally:
        _set_learning(parameter_groups, learning, is_recorded=False)
        _set_averaging(averages, averaging)


def optimizers_of(group: Sequence[TrainingState]) -> list[Optimizer]:
    """Return the optimizers of trials; those that the trials share come once."""
    return _once(item for state in group for item in state.optimizers.by_name().values())


def _parameter_groups(group: Sequence[TrainingState]) -> list[dict[str, object]]:
    return [part for optimizer in optimizers_of(group) for part in optimizer.param_groups]


def _averages(group: Sequence[TrainingState]) -> list[MovingAverage]:
    """Return the moving averages of trials; those that the trials share come once."""
    return _once(average for state in group for average in state.averages.values())


def _once(items: Iterable[T]) -> list[T]:
    """Return each object once, in the order of the first places."""
    return list({id(item): item for item in items}.values())


def _set_learning(
    parameter_groups: Sequence[dict[str, object]],
    rates: Sequence[object],
    *,
    is_recorded: bool,
) -> None:
    for parameters, rate in zip(parameter_groups, rates, strict=True):
        parameters["lr"] = rate
        if "capturable" in parameters:  # Adam asks for it; SGD can always be recorded
            parameters["capturable"] = is_recorded


def _set_averaging(averages: Sequence[MovingAverage], weights: Sequence[float | Tensor]) -> None:
    for average, weight in zip(averages, weights, strict=True):
        average.weight = weight
