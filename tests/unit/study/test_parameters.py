from __future__ import annotations

import math

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler

from adaptune.spec.distributions import Choice, Distribution, Int, LogUniform, Uniform, Value
from adaptune.study.parameters import decode, distributions, encode

WITH_ZERO = LogUniform(search="loguniform", low=0.1, high=10, zero=0.2)
SPACE: dict[str, Distribution] = {
    "uniform": Uniform(search="uniform", low=0, high=5),
    "loguniform": LogUniform(search="loguniform", low=0.1, high=30),
    "int": Int(search="int", low=1, high=5, step=2),
    "choice": Choice(search="choice", values=("lsgan", None, 3)),
}


def test_distributions_become_optunas() -> None:
    assert distributions(SPACE) == {
        "uniform": FloatDistribution(0, 5),
        "loguniform": FloatDistribution(0.1, 30, log=True),
        "int": IntDistribution(1, 5, step=2),
        "choice": CategoricalDistribution(("lsgan", None, 3)),
    }


def test_values_without_a_0_of_their_own_are_parameters_as_they_are() -> None:
    values: dict[str, Value] = {"uniform": 0.0, "loguniform": 0.1, "int": 3, "choice": None}
    assert encode(SPACE, values) == values
    assert decode(SPACE, values) == values


@pytest.mark.parametrize("value", [0.0, 0.1, 0.3, 10.0])
def test_a_value_comes_back_from_its_parameter(value: float) -> None:
    space: dict[str, Distribution] = {"weight": WITH_ZERO}
    encoded = encode(space, {"weight": value})
    assert distributions(space)["weight"]._contains(encoded["weight"])
    assert decode(space, encoded) == {"weight": value}


@pytest.mark.parametrize("zero", [0.2, 0.5, 0.9])
def test_0_is_drawn_with_its_probability(zero: float) -> None:
    space: dict[str, Distribution] = {"weight": WITH_ZERO.model_copy(update={"zero": zero})}
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    weights = []
    for _ in range(400):
        weights.append(decode(space, study.ask(distributions(space)).params)["weight"])
    assert weights.count(0) / 400 == pytest.approx(zero, abs=0.06)
    assert all(WITH_ZERO.contains(weight) for weight in weights)


def test_a_range_without_0_has_none_even_if_rounding_leaves_the_range() -> None:
    parameters: dict[str, Value] = {"loguniform": math.nextafter(0.1, 0)}
    assert decode(SPACE, parameters) == parameters


def test_a_range_near_the_smallest_number_has_a_place_for_0() -> None:
    extreme = LogUniform(search="loguniform", low=1e-200, high=1e200, zero=0.9)
    space: dict[str, Distribution] = {"weight": extreme}
    assert decode(space, encode(space, {"weight": 0.0})) == {"weight": 0}
    assert distributions(space)["weight"]._contains(encode(space, {"weight": 0.0})["weight"])
