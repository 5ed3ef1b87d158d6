"""Handles of Ray actors that call an object of this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class FakeMethod:
    """A method of an actor; what it returns takes the place of the object reference."""

    function: Callable[..., object]

    def options(self, *, name: str) -> FakeMethod:
        return self

    def remote(self, *arguments: object, **keywords: object) -> object:
        return self.function(*arguments, **keywords)


@dataclass(frozen=True)
class FakeActor:
    """A handle on an actor whose methods are those of `target`."""

    target: object

    def __getattr__(self, name: str) -> FakeMethod:
        return FakeMethod(getattr(self.target, name))
