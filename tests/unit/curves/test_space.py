from __future__ import annotations

import numpy as np
import pytest

from adaptune.curves.space import UnitSpace
from adaptune.spec.distributions import Choice, Distribution, Int, LogUniform, Uniform, Value

SPACE: dict[str, Distribution] = {
    "loss": Choice(search="choice", values=("lsgan", "log", 1, True)),
    "rate": LogUniform(search="loguniform", low=0.01, high=1.0),
    "smoothing": Uniform(
        search="uniform", low=0.0, high=4.0, when={"loss": ("log",)}, otherwise=0.0
    ),
    "width": Int(search="int", low=8, high=64, step=8),
}
VALUES: dict[str, Value] = {"loss": "log", "rate": 0.1, "smoothing": 1.0, "width": 24}


@pytest.fixture
def space() -> UnitSpace:
    return UnitSpace(SPACE)


def test_positions_are_shares_of_the_ranges_and_lead_back_to_the_values(space: UnitSpace) -> None:
    positions = space.positions(VALUES)
    assert positions == pytest.approx((3 / 8, 0.5, 0.25, 2 / 7))
    values = space.values(np.array(positions))
    assert values.pop("rate") == pytest.approx(0.1)
    assert values == {key: value for key, value in VALUES.items() if key != "rate"}


@pytest.mark.parametrize("position", [0.0, 0.3, 0.999, 1.0])
def test_every_position_has_a_value_that_the_distribution_draws(
    space: UnitSpace, position: float
) -> None:
    for path, value in space.values(np.full(4, position)).items():
        assert SPACE[path].contains(value)


def test_a_value_that_is_not_drawn_does_not_count(space: UnitSpace) -> None:
    undrawn = space.positions({"loss": "lsgan", "rate": 0.1, "width": 24})
    assert undrawn[2] == 0.5
    low, high = list(undrawn), list(undrawn)
    low[2], high[2] = 0.0, 1.0
    first, second = space.features(np.array([low, high]))
    assert np.array_equal(first, second)
    drawn = np.array([space.positions(VALUES | {"smoothing": value}) for value in (0.0, 4.0)])
    first, second = space.features(drawn)
    assert not np.array_equal(first, second)


def test_two_choices_are_as_far_apart_as_the_ends_of_a_range(space: UnitSpace) -> None:
    positions = [space.positions(VALUES | {"loss": loss}) for loss in ("lsgan", True)]
    features = space.features(np.array(positions))
    assert np.linalg.norm((features[0] - features[1])[:4]) == pytest.approx(1)


def test_fixed_values_have_their_positions_by_index(space: UnitSpace) -> None:
    assert space.fixed({"width": 64, "loss": "lsgan"}) == {0: 1 / 8, 3: 1.0}
    assert [space.fixed({"loss": loss})[0] for loss in (1, True)] == [5 / 8, 7 / 8]


def test_0_has_its_share_of_the_positions_and_a_dimension_of_its_own() -> None:
    space = UnitSpace({"weight": LogUniform(search="loguniform", low=0.01, high=1.0, zero=0.2)})
    weights = (0.0, 0.01, 0.1, 1.0)
    positions = [space.positions({"weight": weight}) for weight in weights]
    assert positions == [pytest.approx((p,)) for p in (0.1, 0.2, 0.6, 1.0)]
    for position, weight in zip(positions, weights, strict=True):
        assert space.values(np.array(position))["weight"] == pytest.approx(weight)
    assert space.values(np.array([0.19]))["weight"] == 0
    features = space.features(np.array(positions))
    assert features[:, 0] == pytest.approx([0, 0, 0.5, 1])
    assert features[:, 1] == pytest.approx([0.5**0.5, 0, 0, 0])


def test_0_does_not_count_if_its_condition_is_not_met() -> None:
    weight = LogUniform(
        search="loguniform", low=0.01, high=1.0, zero=0.2, when={"loss": ("log",)}, otherwise=1.0
    )
    space = UnitSpace({"loss": SPACE["loss"], "weight": weight})
    features = space.features(np.array([[0.1, 0.1], [0.1, 0.9]]))
    assert np.array_equal(features[0], features[1])
