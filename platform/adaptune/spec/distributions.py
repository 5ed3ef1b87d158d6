"""The distributions that a number in the YAML may be given instead of a value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Value = float | int | str | bool | None


def _several(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


class _Distribution(BaseModel):
    """`when` names a searched choice and the values of it with which this one is drawn; else it is `otherwise`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    when: dict[
        str, Annotated[tuple[Value, ...], Field(min_length=1), BeforeValidator(_several)]
    ] = Field(default_factory=dict)
    otherwise: Value = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.when and self.otherwise is None:
            raise ValueError(
                "`when` needs `otherwise`: the value to take when this one is not drawn"
            )
        return self

    def is_drawn(self, values: Mapping[str, Value]) -> bool:
        """Whether a trial with these values draws this one too."""
        return all(
            path in values and values[path] in allowed for path, allowed in self.when.items()
        )


class Uniform(_Distribution):
    """A float drawn evenly from [low, high]."""

    search: Literal["uniform"]
    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> Uniform:
        _check_order(self.low, self.high)
        return self

    def extremes(self) -> tuple[Value, ...]:
        return self.low, self.high


class LogUniform(_Distribution):
    """A float whose logarithm is drawn evenly from [log low, log high]; low > 0."""

    search: Literal["loguniform"]
    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> LogUniform:
        if self.low <= 0:
            raise ValueError(f"loguniform needs low > 0, but low is {self.low:g}")
        _check_order(self.low, self.high)
        return self

    def extremes(self) -> tuple[Value, ...]:
        return self.low, self.high


class Int(_Distribution):
    """An integer drawn evenly from low, low + step, …, high."""

    search: Literal["int"]
    low: int
    high: int
    step: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> Int:
        _check_order(self.low, self.high)
        return self

    def extremes(self) -> tuple[Value, ...]:
        return self.low, self.high


class Choice(_Distribution):
    """One of the values listed."""

    search: Literal["choice"]
    values: Annotated[tuple[Value, ...], Field(min_length=1)]

    def extremes(self) -> tuple[Value, ...]:
        return self.values


Distribution = Annotated[Uniform | LogUniform | Int | Choice, Field(discriminator="search")]


def _check_order(low: float, high: float) -> None:
    if low >= high:
        raise ValueError(f"low must be below high, but low is {low:g} and high is {high:g}")
