"""The searched values of a trial as parameters of Optuna, and back.

Optuna has no distribution that draws 0 with a probability of its own. Where a logarithmic range
has one (`zero`), its parameter has a longer range, whose part below `low` stands for 0. The part
has the share `zero` of the whole range.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from adaptune.spec.distributions import Choice, Distribution, Int, LogUniform, Uniform, Value

Space = Mapping[str, Distribution]


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Return the spec's distributions as Optuna's, by dotted path."""
    return {path: _convert(distribution) for path, distribution in space.items()}


def encode(space: Space, values: Mapping[str, Value]) -> dict[str, Value]:
    """Return searched values, by dotted path, as Optuna's parameters."""
    return {path: _encode(space[path], value) for path, value in values.items()}


def decode(space: Space, parameters: Mapping[str, Value]) -> dict[str, Value]:
    """Return Optuna's parameters as searched values, by dotted path."""
    return {path: _decode(space[path], value) for path, value in parameters.items()}


def _convert(distribution: Distribution) -> BaseDistribution:
    match distribution:
        case Uniform(low=low, high=high):
            return FloatDistribution(low, high)
        case LogUniform(high=high):
            return FloatDistribution(_lowest(distribution), high, log=True)
        case Int(low=low, high=high, step=step):
            return IntDistribution(low, high, step=step)
        case Choice(values=values):
            return CategoricalDistribution(values)


def _encode(distribution: Distribution, value: Value) -> Value:
    """Return a value as a parameter: 0 is the middle of the part that stands for it."""
    if isinstance(distribution, LogUniform) and value == 0:
        return math.sqrt(_lowest(distribution)) * math.sqrt(distribution.low)
    return value


def _decode(distribution: Distribution, parameter: Value) -> Value:
    if isinstance(distribution, LogUniform) and distribution.zero:
        assert isinstance(parameter, int | float)
        return parameter if parameter >= distribution.low else 0.0
    return parameter  # even if rounding has carried it out of the range


def _lowest(distribution: LogUniform) -> float:
    """Return the lower end of a range with the part that stands for 0."""
    if not distribution.zero:
        return distribution.low
    length = distribution.width * distribution.zero / (1 - distribution.zero)
    return max(distribution.low * math.exp(-length), sys.float_info.min)
