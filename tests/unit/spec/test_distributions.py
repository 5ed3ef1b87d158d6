from __future__ import annotations

import math

import pytest
from pydantic import TypeAdapter, ValidationError

from adaptune.spec.distributions import Choice, Distribution, Int, LogUniform, Uniform

UNIFORM = Uniform(search="uniform", low=0, high=10)
LOG = LogUniform(search="loguniform", low=0.1, high=10)
LOG_OR_ZERO = LogUniform(search="loguniform", low=0.1, high=10, zero=0.2)
INT = Int(search="int", low=1, high=9, step=2)
CHOICE = Choice(search="choice", values=("lsgan", 0, 0.5, True, None))


@pytest.mark.parametrize(
    ("distribution", "inside", "outside"),
    [
        (UNIFORM, [0, 3, 9.99, 10], [-0.01, 10.01, math.nan, math.inf, "3", True, None, [3]]),
        (LOG, [0.1, 1, 10.0], [0, 0.0999, 10.1, True, "1"]),
        (LOG_OR_ZERO, [0, 0.0, 0.1, 10], [-1, 0.05, False, None]),
        (INT, [1, 3, 9, 3.0], [0, 2, 10, 11, 3.5, True, "3"]),
        (CHOICE, ["lsgan", 0, 0.0, 0.5, True, None], [1, False, "log", 0.51]),
    ],
    ids=["uniform", "loguniform", "zero", "int", "choice"],
)
def test_a_distribution_contains_what_it_can_draw(
    distribution: Distribution, inside: list[object], outside: list[object]
) -> None:
    assert [value for value in inside if not distribution.contains(value)] == []
    assert [value for value in outside if distribution.contains(value)] == []


def test_an_int_whose_step_misses_the_upper_bound_does_not_contain_it() -> None:
    distribution = Int(search="int", low=1, high=4, step=2)
    assert list(distribution.drawable()) == [1, 3]
    assert not distribution.contains(4)
    assert distribution.bounds() == (1, 4)


@pytest.mark.parametrize(
    ("distribution", "points", "values"),
    [
        (UNIFORM, 3, [0, 5, 10]),
        (LOG, 3, [0.1, 1, 10]),
        (LOG_OR_ZERO, 2, [0, 0.1, 10]),
        (INT, 3, [1, 5, 9]),
        (INT, 99, [1, 3, 5, 7, 9]),
        (Int(search="int", low=0, high=4), 4, [0, 1, 3, 4]),
        (CHOICE, 2, ["lsgan", 0, 0.5, True, None]),
    ],
)
def test_the_grid_has_evenly_spaced_values_with_both_bounds(
    distribution: Distribution, points: int, values: list[object]
) -> None:
    assert distribution.grid_values(points) == pytest.approx(values)


def test_rounding_does_not_carry_a_logarithmic_grid_out_of_its_range() -> None:
    distribution = LogUniform(search="loguniform", low=0.03, high=3)
    for points in range(2, 12):
        values = distribution.grid_values(points)
        assert all(distribution.contains(value) for value in values)
        assert (values[0], values[-1]) == (0.03, 3)


def test_a_value_that_is_not_drawn_is_the_first_bound_or_otherwise() -> None:
    assert UNIFORM.stand_in() == 0
    assert CHOICE.stand_in() == "lsgan"
    conditional = Uniform(search="uniform", low=1, high=2, when={"a.b": ("x",)}, otherwise=7)
    assert conditional.stand_in() == 7


def test_a_condition_holds_if_every_named_value_is_allowed() -> None:
    distribution = TypeAdapter(Distribution).validate_python(
        {"search": "uniform", "low": 1, "high": 2, "when": {"a": "x", "b": [1, 2]}, "otherwise": 0}
    )
    assert distribution.when == {"a": ("x",), "b": (1, 2)}
    assert distribution.is_drawn({"a": "x", "b": 2})
    assert not distribution.is_drawn({"a": "x", "b": 3})
    assert not distribution.is_drawn({"a": "x"})
    assert UNIFORM.is_drawn({})


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"search": "uniform", "low": 1, "high": 1}, "low must be below high"),
        ({"search": "int", "low": 3, "high": 1}, "low is 3 and high is 1"),
        ({"search": "loguniform", "low": 0, "high": 1}, "loguniform needs low > 0"),
        ({"search": "loguniform", "low": 1, "high": 2, "zero": 1}, "less than or equal to 0.9"),
        ({"search": "int", "low": 0, "high": 1, "step": 0}, "greater than or equal to 1"),
        ({"search": "choice", "values": []}, "at least 1 item"),
        ({"search": "choice", "values": [1], "when": {"a": 1}}, "`when` needs `otherwise`"),
        ({"search": "choice", "values": [1], "when": {"a": []}, "otherwise": 0}, "at least 1"),
    ],
)
def test_a_distribution_that_makes_no_sense_is_refused(
    raw: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(Distribution).validate_python(raw)
