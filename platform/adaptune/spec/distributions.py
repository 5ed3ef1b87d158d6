"""The distributions that a search space file may give in place of a value."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self, TypeGuard

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from adaptune.spec.prior_field import PRIOR, OptionalPrior

Value = float | int | str | bool | None


def _as_tuple(value: object) -> object:
    """Return a list as a tuple, and a single value as a tuple of one."""
    return tuple(value) if isinstance(value, list | tuple) else (value,)


Values = Annotated[tuple[Value, ...], Field(min_length=1)]
OneOrMoreValues = Annotated[
    Values, BeforeValidator(_as_tuple, json_schema_input_type=Value | Values)
]


class _Distribution(BaseModel, ABC):
    """Base of all distributions: the condition under which a value is drawn."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"dependentRequired": {"when": ["otherwise"]}},
    )

    when: dict[str, OneOrMoreValues] = Field(
        default_factory=dict,
        description="Condition: the key of a searched choice, and the values of it with which this"
        " value is drawn.",
    )
    otherwise: Value = Field(
        default=None, description="The value of a trial that does not meet the condition `when`."
    )

    @model_validator(mode="after")
    def _condition_is_complete(self) -> Self:
        if self.when and self.otherwise is None:
            raise ValueError(
                "`when` needs `otherwise`: the value to take when this one is not drawn"
            )
        return self

    @abstractmethod
    def bounds(self) -> tuple[Value, ...]:
        """Return the lower and the upper bound, or all values of a choice."""

    def stand_in(self) -> Value:
        """Return the value of a trial that has drawn none."""
        return self.otherwise if self.when else self.bounds()[0]

    def is_drawn(self, values: Mapping[str, Value]) -> bool:
        """Return whether a trial with these values (by dotted path) meets the condition."""
        return all(
            path in values and values[path] in allowed for path, allowed in self.when.items()
        )


class Uniform(_Distribution):
    """A float drawn evenly from [low, high]."""

    search: Literal["uniform"] = Field(description="Kind of distribution.")
    low: float = Field(description="Lower bound.")
    high: float = Field(description="Upper bound.")
    prior: OptionalPrior = Field(default=None, description=PRIOR)

    @property
    def width(self) -> float:
        """Length of the range."""
        return self.high - self.low

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> Uniform:
        _check_order(self.low, self.high)
        return self

    def bounds(self) -> tuple[Value, ...]:
        """Return the lower and the upper bound."""
        return self.low, self.high

    def contains(self, value: object) -> bool:
        """Return whether the distribution can draw `value`."""
        return is_number(value) and self.low <= value <= self.high

    def grid_values(self, points: int) -> Sequence[Value]:
        """Return `points` ≥ 2 evenly spaced values, both bounds among them."""
        import numpy as np  # imported late: most commands need no grid

        return [float(value) for value in np.linspace(self.low, self.high, points)]


class LogUniform(_Distribution):
    """A float whose logarithm is drawn evenly from [log low, log high], and sometimes 0."""

    search: Literal["loguniform"] = Field(description="Kind of distribution.")
    low: float = Field(description="Lower bound, above 0.")
    high: float = Field(description="Upper bound.")
    zero: float = Field(
        default=0,
        ge=0,
        le=0.9,
        description="Probability of the value 0, such as 0.2. The weight 0 leaves a loss term out"
        " with its forward passes.",
    )
    prior: OptionalPrior = Field(default=None, description=PRIOR)

    @property
    def width(self) -> float:
        """Length of the range in the natural logarithm."""
        return math.log(self.high) - math.log(self.low)

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> LogUniform:
        if self.low <= 0:
            raise ValueError(f"loguniform needs low > 0, but low is {self.low:g}")
        _check_order(self.low, self.high)
        return self

    def bounds(self) -> tuple[Value, ...]:
        """Return the lower and the upper bound."""
        return self.low, self.high

    def contains(self, value: object) -> bool:
        """Return whether the distribution can draw `value`."""
        if not is_number(value):
            return False
        return self.low <= value <= self.high or (self.zero > 0 and value == 0)

    def grid_values(self, points: int) -> Sequence[Value]:
        """Return `points` ≥ 2 values evenly spaced by logarithm, both bounds among them.

        If 0 can be drawn, it comes before them.
        """
        import numpy as np  # imported late: most commands need no grid

        # Rounding must not carry the bounds out of the range.
        spaced = np.geomspace(self.low, self.high, points).clip(self.low, self.high)
        zeros = [0.0] if self.zero else []
        return [*zeros, *(float(value) for value in spaced)]


class Int(_Distribution):
    """An integer drawn evenly from low, low + step, …, up to high."""

    search: Literal["int"] = Field(description="Kind of distribution.")
    low: int = Field(description="Lower bound.")
    high: int = Field(description="Upper bound.")
    step: int = Field(default=1, ge=1, description="Difference between neighbouring values.")
    prior: OptionalPrior = Field(default=None, description=PRIOR)

    @property
    def width(self) -> float:
        """Length of the range."""
        return self.high - self.low

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> Int:
        _check_order(self.low, self.high)
        return self

    def bounds(self) -> tuple[Value, ...]:
        """Return the lower and the upper bound."""
        return self.low, self.high

    def drawable(self) -> range:
        """Return all integers that the distribution can draw."""
        return range(self.low, self.high + 1, self.step)

    def contains(self, value: object) -> bool:
        """Return whether the distribution can draw `value`; 3.0 counts as 3."""
        return is_number(value) and value in self.drawable()

    def grid_values(self, points: int) -> Sequence[Value]:
        """Return up to `points` ≥ 2 about evenly spaced integers, both bounds included."""
        import numpy as np  # imported late: most commands need no grid

        drawable = self.drawable()
        positions = np.linspace(0, len(drawable) - 1, min(points, len(drawable)))
        return [drawable[round(position)] for position in positions]


class Choice(_Distribution):
    """One of the listed values, each equally likely."""

    search: Literal["choice"] = Field(description="Kind of distribution.")
    values: Values = Field(description="The values to choose from.")

    def bounds(self) -> tuple[Value, ...]:
        """Return all values."""
        return self.values

    def contains(self, value: object) -> bool:
        """Return whether `value` is listed; true and 1 are different values."""
        return any(is_same(value, listed) for listed in self.values)

    def grid_values(self, points: int) -> Sequence[Value]:
        """Return all values, however many `points` are asked for."""
        return list(self.values)


Distribution = Annotated[Uniform | LogUniform | Int | Choice, Field(discriminator="search")]
KINDS: dict[str, type[Uniform | LogUniform | Int | Choice]] = {
    "uniform": Uniform,
    "loguniform": LogUniform,
    "int": Int,
    "choice": Choice,
}


def _check_order(low: float, high: float) -> None:
    if low >= high:
        raise ValueError(f"low must be below high, but low is {low:g} and high is {high:g}")


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value is a number; true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_same(value: object, listed: Value) -> bool:
    """Return whether two values are the same; true and 1 are different."""
    return value == listed and isinstance(value, bool) == isinstance(listed, bool)
