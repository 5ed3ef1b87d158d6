"""The landscapes are what they say, and the comparison on them counts right."""

from __future__ import annotations

import math

import numpy as np
import pytest
from landscapes import EPOCHS, LANDSCAPES, SPACE, Landscape
from search_quality import (
    FULL,
    MORE_TRIALS,
    OURS,
    RANDOM,
    RAY,
    SEARCHES,
    TRIALS,
    mean_curve,
    parts,
    regrets,
)


def drawn(draw: np.random.Generator) -> dict[str, float]:
    values = {}
    for name, one in SPACE.items():
        low, high = float(one["low"]), float(one["high"])
        logs = one["search"] == "loguniform"
        values[name] = (
            math.exp(draw.uniform(math.log(low), math.log(high)))
            if logs
            else draw.uniform(low, high)
        )
    return values


@pytest.mark.parametrize("landscape", LANDSCAPES, ids=lambda one: one.name)
def test_nothing_is_above_the_optimum_and_curves_end_near_their_final_value(
    landscape: Landscape,
) -> None:
    draw = np.random.default_rng(0)
    for values in (drawn(draw) for _ in range(200)):
        final = landscape.final(values)
        assert final <= landscape.best
        if not landscape.fails(values):
            assert landscape.curve(values, EPOCHS, draw) == pytest.approx(
                final, abs=0.06 + 4 * landscape.noise
            )


def test_curves_cross_and_plateaus_have_failures() -> None:
    smooth, _, crossing, plateau = LANDSCAPES
    good = {
        f"loss_weights.{k}": v
        for k, v in {"cycle": 3, "identity": 1, "semantic": 0.3, "information": 0.7}.items()
    }
    bad = good | {"loss_weights.identity": 5.0}
    draw = np.random.default_rng(0)
    assert crossing.curve(good, 1, draw) < crossing.curve(bad, 1, draw)
    assert crossing.curve(good, EPOCHS, draw) > crossing.curve(bad, EPOCHS, draw)
    assert smooth.curve(good, 1, draw) > smooth.curve(bad, 1, draw)
    assert math.isnan(plateau.curve(good | {"loss_weights.information": 0.9}, 2, draw))


@pytest.mark.slow
@pytest.mark.parametrize("name", [RAY, OURS, RANDOM, FULL])
def test_every_search_ends_with_a_regret_that_never_grows_without_noise(name: str) -> None:
    found = regrets(LANDSCAPES[0], SEARCHES[name](1), 1)
    assert found[-1] < 0.2
    trials = {RAY: TRIALS, FULL: TRIALS}.get(name, MORE_TRIALS)
    assert (len(found) == trials * EPOCHS) == (name == FULL)


def test_the_part_of_the_budget_is_where_the_mean_regret_reaches_rays() -> None:
    runs = {
        RAY: [[0.4, 0.2, 0.2, 0.1]] * 2,
        OURS: [[0.3, 0.0], [0.3, 0.2]],
        RANDOM: [[0.4, 0.3]] * 2,
    }
    assert mean_curve(runs[OURS]) == pytest.approx([0.3, 0.1])
    found = {name: (regret, part) for name, regret, part in parts(runs)}
    assert found[RAY] == (pytest.approx(0.1), 1.0)
    assert found[OURS] == (pytest.approx(0.1), 0.5)
    assert found[RANDOM] == (pytest.approx(0.3), math.inf)
