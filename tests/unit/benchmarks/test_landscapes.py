from __future__ import annotations

import math

import numpy as np
import pytest
from landscapes import (
    EPOCHS,
    LANDSCAPES,
    OPTIMUM,
    SPACE,
    START_ACCURACY,
    WITHHELD_LANDSCAPES,
    Landscape,
    squared_distance,
)

from adaptune.spec.distributions import LogUniform


def sample_values(random: np.random.Generator) -> dict[str, float]:
    values = {}
    for path, distribution in SPACE.items():
        low, high = distribution.low, distribution.high
        if isinstance(distribution, LogUniform):
            values[path] = math.exp(random.uniform(math.log(low), math.log(high)))
        else:
            values[path] = random.uniform(low, high)
    return values


@pytest.mark.parametrize(
    "landscape", LANDSCAPES + WITHHELD_LANDSCAPES, ids=lambda landscape: landscape.name
)
def test_nothing_is_above_the_optimum_and_curves_end_near_their_final_value(
    landscape: Landscape,
) -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        values = sample_values(random)
        final = landscape.final(values)
        assert final <= landscape.best
        if not landscape.fails(values):
            tolerance = 0.06 + 4 * landscape.noise
            last = landscape.accuracy(values, EPOCHS, random)
            if landscape.images is not None:
                tolerance += 4 * math.sqrt(0.25 / landscape.images)
            assert last == pytest.approx(final, abs=tolerance)


def test_distances_are_measured_in_the_ranges_of_the_space() -> None:
    assert squared_distance(OPTIMUM) == 0
    # Identity from 1 to 3.5 is half of its range of 5.
    assert squared_distance(OPTIMUM | {"loss_weights.identity": 3.5}) == pytest.approx(0.25)
    # Semantic from 0.3 to 3 is a third of its range of three powers of ten.
    assert squared_distance(OPTIMUM | {"loss_weights.semantic": 3.0}) == pytest.approx(1 / 9)


def test_curves_cross_and_plateaus_have_failures() -> None:
    smooth, _, crossing, plateau = LANDSCAPES
    bad = OPTIMUM | {"loss_weights.identity": 5.0}
    random = np.random.default_rng(0)
    assert crossing.accuracy(OPTIMUM, 1, random) < crossing.accuracy(bad, 1, random)
    assert crossing.accuracy(OPTIMUM, EPOCHS, random) > crossing.accuracy(bad, EPOCHS, random)
    assert smooth.accuracy(OPTIMUM, 1, random) > smooth.accuracy(bad, 1, random)
    failing = OPTIMUM | {"loss_weights.information": 0.9}
    assert not math.isnan(plateau.accuracy(failing, 1, random))
    assert math.isnan(plateau.accuracy(failing, 2, random))


def test_late_starts_stay_at_the_start_and_luck_belongs_to_a_trial() -> None:
    late, _, lucky = WITHHELD_LANDSCAPES
    slow = OPTIMUM | {"loss_weights.cycle": 30.0}
    assert late.true_accuracy(slow, 4) == START_ACCURACY
    assert late.true_accuracy(slow, EPOCHS) > 0.6
    gain = lucky.true_accuracy(OPTIMUM, EPOCHS, 1.0) - lucky.true_accuracy(OPTIMUM, EPOCHS)
    assert gain == pytest.approx(0.02, abs=0.002)
    random = np.random.default_rng(0)
    reports = [lucky.accuracy(OPTIMUM, EPOCHS, random) for _ in range(2000)]
    assert np.std(reports) == pytest.approx(math.sqrt(0.73 * 0.27 / 400), rel=0.1)
    assert {round(report * 400, 6) % 1 for report in reports} == {0.0}
