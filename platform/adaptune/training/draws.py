"""The random numbers of updates, on their device by one copy per update."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
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


Requests = Mapping[Purpose, Callable[[torch.Generator], object]]
Seed = Callable[[], int]


def draw_all(requests: Requests, rng: Rng) -> tuple[object, ...]:
    """Return the values of an update in the order of the requests, on the CPU."""
    return tuple(draw(rng(purpose)) for purpose, draw in requests.items())


def seed_torch(seed: Seed) -> None:
    """Seed torch's own generators, of the CPU and of GPUs."""
    torch.manual_seed(seed())


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
        self._values: Mapping[Purpose, object] = {}
        self._seed: Callable[[Seed], None] = seed_torch
        self._is_recording = False

    @property
    def requests(self) -> Requests:
        """The values that the newest update has asked for."""
        return dict(self._requests)

    def prepare(self, step: int, rng: Rng, others: T) -> T:
        """Draw what the update before asked for, and return other values on the device.

        Args:
            step: number of the coming update.
            rng: returns the random numbers of the coming update.
            others: further values from the CPU, see `to_device_at_once`.
        """
        drawn = draw_all(self._requests, rng)
        copied, others = to_device_at_once((drawn, others), self._device)
        self._values = dict(zip(self._requests, copied, strict=True))
        self._requests = {}
        self._step = step
        return others

    def get(self, step: int, rng: Rng, purpose: Purpose, draw: Callable[[torch.Generator], T]) -> T:
        """Return values of an update on the device.

        Args:
            draw: makes the values from random numbers, on the CPU. It does the same in each update.

        Raises:
            RuntimeError: the update is recorded, and its values are others.
        """
        self._requests[purpose] = draw
        if step == self._step and purpose in self._values:
            return cast("T", self._values[purpose])
        if self._is_recording:
            raise RuntimeError(f"the update before did not ask for the values of {purpose.name!r}")
        return to_device_at_once(draw(rng(purpose)), self._device)

    def seed(self, seed: Seed) -> None:
        """Seed torch's own random numbers for what follows in this update.

        Args:
            seed: returns the seed of the coming update.
        """
        self._seed(seed)

    @contextmanager
    def recording(
        self, step: int, values: Mapping[Purpose, object], seed: Callable[[Seed], None]
    ) -> Iterator[None]:
        """Give an update that is recorded these values, and no others.

        Args:
            values: values on the device, which later updates change in place.
            seed: called in place of `seed_torch`.
        """
        self._step = step
        self._values = values
        self._seed = seed
        self._is_recording = True
        try:
            yield
        finally:
            self._seed = seed_torch
            self._is_recording = False
