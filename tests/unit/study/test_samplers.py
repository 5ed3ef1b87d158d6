from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
)
from optuna.trial import TrialState
from support.fake_search import SPACE, make_search, simulate, smooth

from adaptune.spec.schema import SearchSpec
from adaptune.study.curves import CurveSampler
from adaptune.study.parameters import distributions
from adaptune.study.samplers import EndlessGridSampler, make_sampler
from adaptune.study.study import SearchStudy, create_study
from adaptune.study.tpe import FailureAwareTPESampler

SAMPLERS: dict[str, type[BaseSampler]] = {
    "tpe": FailureAwareTPESampler,
    "curves": CurveSampler,
    "gp": GPSampler,
    "cmaes": CmaEsSampler,
    "random": RandomSampler,
    "grid": EndlessGridSampler,
    "qmc": QMCSampler,
    "nsga2": NSGAIISampler,
}
WHOLE_SEARCH = ("grid", "qmc")  # samplers with one seed for all trials


@pytest.fixture(autouse=True)
def _experimental_parts_of_optuna() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def sampler_of(spec: SearchSpec, number: int) -> BaseSampler:
    return make_sampler(spec, number, create_study(spec).curves)


def proposal(sampler: BaseSampler) -> dict[str, Any]:
    """The first values that a sampler proposes in a search without trials."""
    study = optuna.create_study(directions=["maximize"], sampler=sampler)
    return study.ask(distributions(make_search().space)).params


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_is_optunas_of_that_name(name: str) -> None:
    assert type(sampler_of(make_search(search={"sampler": name}), 0)) is SAMPLERS[name]


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_seed_and_the_number_of_the_trial_determine_a_proposal(name: str) -> None:
    spec = make_search(search={"sampler": name})
    first = proposal(sampler_of(spec, 0))
    assert proposal(sampler_of(spec, 0)) == first
    assert (proposal(sampler_of(spec, 1)) == first) == (name in WHOLE_SEARCH)
    reseeded = spec.model_copy(update={"seed": 1})
    assert proposal(sampler_of(reseeded, 0)) != first


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_stays_in_the_space_and_a_kill_changes_nothing(
    tmp_path: Path, name: str
) -> None:
    search = {"trials": 8, "startup_trials": 3, "sampler": name, "scheduler": "none"}
    spec = make_search(search=search, training={"epochs": 2})
    undisturbed = simulate(spec, None, smooth)
    trials = undisturbed.started_trials()
    for trial in trials:
        assert trial.state == TrialState.COMPLETE
        cycle = trial.values["loss_weights.cycle"]
        assert isinstance(cycle, float)
        assert 0.1 <= cycle <= 30
    assert len({tuple(trial.values.values()) for trial in trials}) == 8
    killed = tmp_path / "killed"
    simulate(spec, killed, smooth, stop_after=3)
    assert results(simulate(spec, killed, smooth)) == results(undisturbed)


def results(study: SearchStudy) -> list[tuple[Any, ...]]:
    return [(t.number, t.values, t.optuna_trial.values) for t in study.started_trials()]


def test_a_grid_has_every_combination_once_and_ends_there() -> None:
    grid = {"trials": 10, "sampler": {"name": "grid", "points": 2}, "scheduler": {"name": "none"}}
    spec = make_search(search=grid, training={"epochs": 1})
    assert spec.planned_trials == 4
    trials = simulate(spec, None, smooth).started_trials()
    combinations = set()
    for trial in trials:
        combinations.add(
            (trial.values["loss_weights.cycle"], trial.values["loss_weights.identity"])
        )
    assert combinations == {(0.1, 0.0), (0.1, 5.0), (30.0, 0.0), (30.0, 5.0)}
    assert len(trials) == 4


@pytest.mark.parametrize("sampler", ["tpe", "curves", "random", "gp"])
def test_a_conditional_value_is_drawn_only_if_its_condition_is_met(sampler: str) -> None:
    conditional = {
        "search": "uniform",
        "low": 1,
        "high": 5,
        "when": {"training.gan_loss": "log"},
        "otherwise": 0,
    }
    space = SPACE | {
        "loss_weights.identity": conditional,
        "training.gan_loss": {"search": "choice", "values": ["lsgan", "log"]},
    }
    search = {"trials": 14, "startup_trials": 3, "sampler": sampler, "scheduler": "none"}
    spec = make_search(search=search, space=space, training={"epochs": 1})

    def curve(values: Mapping[str, Any], epoch: int) -> float:
        return smooth({"loss_weights.identity": 0} | dict(values), epoch)

    trials = simulate(spec, None, curve).started_trials()
    for trial in trials:
        is_drawn = trial.values["training.gan_loss"] == "log"
        assert ("loss_weights.identity" in trial.values) == is_drawn
        weight = spec.trial(trial.values).loss_weights.identity
        assert (1 <= weight <= 5) if is_drawn else weight == 0
    assert {trial.values["training.gan_loss"] for trial in trials} == {"log", "lsgan"}


ZERO = {"search": "loguniform", "low": 0.1, "high": 10, "zero": 0.4}


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_draws_0_and_a_range_beside_it(tmp_path: Path, name: str) -> None:
    search = {"trials": 16, "startup_trials": 6, "sampler": name, "scheduler": "none"}
    search["start_points"] = [{"loss_weights.cycle": 0.0, "loss_weights.identity": 1.0}]
    space = SPACE | {"loss_weights.cycle": ZERO}
    spec = make_search(search=search, space=space, training={"epochs": 1})

    def curve(values: Mapping[str, Any], epoch: int) -> float:
        return 0.5 + 0.1 * (values["loss_weights.cycle"] == 0)

    trials = simulate(spec, None, curve).started_trials()
    assert trials[0].is_start_point
    weights = [trial.values["loss_weights.cycle"] for trial in trials]
    assert weights[0] == 0
    assert 0 < weights.count(0) < len(weights)
    for trial, weight in zip(trials, weights, strict=True):
        assert weight == 0 or 0.1 <= weight <= 10
        assert spec.trial(trial.values).loss_weights.cycle == weight
    killed = tmp_path / "killed"
    simulate(spec, killed, curve, stop_after=5)
    assert results(simulate(spec, killed, curve)) == [
        (t.number, t.values, t.optuna_trial.values) for t in trials
    ]


def test_a_grid_has_0_in_addition_to_the_points_of_the_range() -> None:
    grid = {"trials": 20, "sampler": {"name": "grid", "points": 2}, "scheduler": "none"}
    spec = make_search(search=grid, space={"loss_weights.cycle": ZERO}, training={"epochs": 1})
    assert spec.planned_trials == 3
    trials = simulate(spec, None, smooth_in_cycle).started_trials()
    assert {trial.values["loss_weights.cycle"] for trial in trials} == {0, 0.1, 10}


def smooth_in_cycle(values: Mapping[str, Any], epoch: int) -> float:
    return 0.5 + values["loss_weights.cycle"] / 100
