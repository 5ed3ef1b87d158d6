from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.fake_search import history, make_search, simulate

from adaptune.spec.distributions import Distribution, LogUniform
from adaptune.spec.priors import Belief
from adaptune.spec.schema import SearchSpec
from adaptune.study.parameters import decode
from adaptune.study.priors import ParameterPriors

CYCLE = "loss_weights.cycle"
RANGE = {"search": "loguniform", "low": 0.01, "high": 100}
GOOD = {"center": 10, "spread": 0.5}


def spec_of(sampler: str, trials: int = 24, prior: object = GOOD, **range_: object) -> SearchSpec:
    search = {"trials": trials, "startup_trials": 6, "sampler": sampler, "scheduler": "none"}
    space = {CYCLE: RANGE | {"prior": prior} | range_, "loss_weights.identity": RANGE}
    return make_search(search=search, space=space, training={"epochs": 2})


def flat(values: Mapping[str, Any], epoch: int) -> float:
    return 0.5 + 0.1 * epoch


def best_at(weight: float, values: Mapping[str, Any]) -> float:
    distance = np.log10(max(values[CYCLE], 1e-3)) - np.log10(weight)
    return float(np.exp(-0.5 * distance**2))


def test_parameters_are_drawn_around_the_center_and_0_with_its_probability() -> None:
    weight = LogUniform(search="loguniform", low=0.01, high=100, zero=0.25)
    space: dict[str, Distribution] = {"weight": weight}
    priors = ParameterPriors(space, {"weight": Belief(1.0, 0.5)})
    assert "weight" in priors
    levels = (np.arange(400) + 0.5) / 400
    drawn = [priors.draw("weight", level) for level in levels]
    weights = [decode(space, {"weight": parameter})["weight"] for parameter in drawn]
    assert weights.count(0) == 100
    logarithms = np.log([value for value in weights if value])
    assert (abs(logarithms) < 0.5).mean() == pytest.approx(0.8 * 0.683 + 0.2 * 0.109, abs=0.02)
    densities = priors.log_density({"weight": np.array([1.0, 3.0, 0.001]), "b": np.zeros(3)})
    assert densities[0] > densities[1]
    assert densities[2] == 0  # a parameter that stands for 0


@pytest.mark.parametrize("sampler", ["tpe", "curves"])
def test_random_trials_come_from_around_the_prior(sampler: str) -> None:
    trials = simulate(spec_of(sampler, trials=6), None, flat).started_trials()
    weights = [np.log(trial.values[CYCLE] / 10) for trial in trials]
    assert np.median(np.abs(weights)) < 1
    others = [np.log(trial.values["loss_weights.identity"]) for trial in trials]
    assert np.median(np.abs(others)) > 1


@pytest.mark.parametrize("sampler", ["tpe", "curves"])
def test_a_good_prior_helps_and_a_wrong_one_fades(sampler: str) -> None:
    def curve(values: Mapping[str, Any], epoch: int) -> float:
        return 0.5 + 0.2 * best_at(10, values) * epoch

    reached = {}
    for center in (0.03, 10):
        prior = {"center": center, "spread": 0.5}
        trials = simulate(spec_of(sampler, 24, prior), None, curve).started_trials()
        reached[center] = [best_at(10, trial.values) for trial in trials]
    assert np.mean(reached[10][:8]) > np.mean(reached[0.03][:8]) + 0.3
    assert max(reached[0.03]) > 0.9


@pytest.mark.parametrize("sampler", ["tpe", "curves"])
def test_kills_of_a_search_in_groups_change_nothing(tmp_path: Path, sampler: str) -> None:
    search = {"trials": 16, "sampler": sampler, "scheduler": "none", "classifiers_per_gan": 3}
    space = {
        CYCLE: RANGE | {"prior": GOOD, "zero": 0.2},
        "loss_weights.information": RANGE | {"prior": 1, "zero": 0.4},
    }
    spec = make_search(search=search, space=space, training={"epochs": 2})
    study = simulate(spec, None, flat)
    undisturbed = history(study)
    for trial in study.started_trials():
        assert trial.values[CYCLE] == study.trial(trial.leader).values[CYCLE]
    for _ in range(4):
        simulate(spec, tmp_path / "study.journal", flat, stop_after=5)
    assert history(simulate(spec, tmp_path / "study.journal", flat)) == undisturbed
