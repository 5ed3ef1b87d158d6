"""The random numbers of updates, on their device by one copy per update."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple, TypeVar, cast

import torch

from adaptune.data.transfer import to_device_at_once

T = TypeVar("T")
Rng = Callable[["Purpose"], torch.Generator]


class Purpose(NamedTuple):
    """The purpose of random numbers, which decides them together with the seed and the step.

    Attributes:
        name: name of the random stream.
        per_worker: whether each worker draws its own numbers; otherwise all draw the same.
        settings: what else decides the values that are made of the numbers.
    """

    name: str
    per_worker: bool = False
    settings: Hashable = None


class Draws:
    """Random values of updates: drawn on the CPU, and used on the device.

    Each copy to a GPU costs as much time as several of an update's operations. Updates of a trial
    ask for the same values again and again. So the requests of an update are noted, and those of
    the next one are drawn before it and copied at once. A value that nobody has asked for before
    is drawn and copied by itself. Both ways give the same values, which depend on the seed, the
    purpose and the step only.

    Args:
        device: the device of the updates.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._requests: dict[Purpose, Callable[[torch.Generator], object]] = {}
        self._step = -1
        self._values: dict[Purpose, object] = {}

    def prepare(self, step: int, rng: Rng, others: T) -> T:
        """Draw what the update before asked for, and return other values on the device.

        Args:
            step: number of the coming update.
            rng: returns the random numbers of the coming update.
            others: further values from the CPU, see `to_device_at_once`.
        """
        drawn = tuple(draw(rng(purpose)) for purpose, draw in self._requests.items())
        copied, others = to_device_at_once((drawn, others), self._device)
        self._values = dict(zip(self._requests, copied, strict=True))
        self._requests = {}
        self._step = step
        return others

    def get(self, step: int, rng: Rng, purpose: Purpose, draw: Callable[[torch.Generator], T]) -> T:
        """Return values of an update on the device.

        Args:
            draw: makes the values from random numbers, on the CPU. It does the same in each update.
        """
        self._requests[purpose] = draw
        if step == self._step and purpose in self._values:
            return cast("T", self._values[purpose])
        return to_device_at_once(draw(rng(purpose)), self._device)
