"""Training under new seeds, without Ray: prepared runs and trials are simulated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.fake_run import LOST, PLAN, SimulatedTrials, make_run, make_splits, make_tiny_search
from support.fake_search import make_search, simulate

from adaptune.errors import ResultsError
from adaptune.evaluation import replication
from adaptune.evaluation.ablation import ablations
from adaptune.evaluation.confirmation import all_values
from adaptune.evaluation.replication import Configuration, SeedResult, replicate, spec_of_seed
from adaptune.spec.schema import SearchSpec


def flat(values: object, epoch: int) -> float:
    return 0.5


def test_the_search_of_a_seed_runs_each_configuration_once_in_order(tmp_path: Path) -> None:
    spec = make_search(search={"metric": "infomax", "warm_start": ["elsewhere"]})
    configurations = ablations(spec, {"loss_weights.cycle": 3.0, "loss_weights.identity": 1.0})
    seed_spec = spec_of_seed(spec, configurations, 7, tmp_path)
    assert (seed_spec.name, seed_spec.seed) == ("seed-7", 7)
    assert seed_spec.search.trials == len(configurations)
    assert seed_spec.search.warm_start == ()
    study = simulate(seed_spec, tmp_path / "journal", flat)
    trials = study.started_trials()
    for configuration, trial in zip(configurations, trials, strict=True):
        assert all_values(seed_spec, trial.values) == configuration.values
    assert all(trial.last_epoch == seed_spec.epochs for trial in trials)


def test_a_single_configuration_leaves_nothing_to_search(tmp_path: Path) -> None:
    spec = make_search()
    configurations = ablations(spec, {"loss_weights.cycle": 3.0, "loss_weights.identity": 1.0})
    alone = spec_of_seed(spec, configurations[:1], 7, tmp_path)
    assert (alone.space, alone.search.start_points) == ({}, ())
    assert alone.trial({}).loss_weights.cycle == 3.0


def test_the_search_of_a_seed_keeps_its_results_in_the_commands_folder(tmp_path: Path) -> None:
    storage = {"remote": "s3://bucket/searches?region=x", "checkpoint_budget_gb": 3.0}
    spec = make_search(storage=storage, evaluation={"baselines": False})
    configuration = Configuration("full", all_values(spec, {}))
    seed_spec = spec_of_seed(spec, [configuration], 7, tmp_path / "confirm")
    assert seed_spec.storage.out == str(tmp_path / "confirm")
    assert seed_spec.storage.remote == "s3://bucket/searches/fake/confirm?region=x"
    assert seed_spec.storage.checkpoint_budget_gb is None
    assert seed_spec.evaluation.baselines == "auto"


@pytest.fixture
def simulation(monkeypatch: pytest.MonkeyPatch) -> SimulatedTrials:
    """Replaces what needs Ray."""
    trials = SimulatedTrials([0], make_splits(test_samples=8))
    monkeypatch.setattr(replication, "load_splits", trials.load_splits)
    monkeypatch.setattr(replication, "prepare_run", trials.prepare_run)
    monkeypatch.setattr(replication, "run_trials", trials.run_trials)
    return trials


def replicate_seeds(
    spec: SearchSpec, configurations: list[Configuration], seeds: list[int], folder: Path
) -> list[SeedResult]:
    console: Any = make_run(folder).console
    return replicate(spec, configurations, seeds, folder, lambda seed_spec: PLAN, console)


def configurations_of(spec: SearchSpec, **cycles: float) -> list[Configuration]:
    configurations = []
    for name, cycle in cycles.items():
        values = all_values(spec, {}) | {"loss_weights.cycle": cycle}
        configurations.append(Configuration(name, values))
    return configurations


def test_each_seed_has_its_own_search_and_its_own_results(
    tmp_path: Path, simulation: SimulatedTrials
) -> None:
    simulation.labels = [0, 2, None, LOST]
    spec = make_tiny_search()
    configurations = configurations_of(spec, good=1.0, bad=2.0, failed=3.0, lost=4.0)
    results = replicate_seeds(spec, configurations, [1, 2], tmp_path)
    assert simulation.searches == ["seed-1", "seed-2"]
    assert [result.seed for result in results] == [1] * 8 + [2] * 8
    tests = {result.configuration: result.target_test for result in results if result.seed == 1}
    assert list(tests) == [
        "source only",
        "information only",
        "no GAN",
        "target supervised",
        "good",
        "bad",
        "failed",
        "lost",
    ]
    # Half of the test set is of class 0, a quarter of class 1 (which f_S predicts), one of class 2.
    assert (tests["good"], tests["bad"], tests["source only"]) == (0.5, 0.25, 0.25)
    assert tests["failed"] is tests["lost"] is None
    vals = {result.configuration: result.target_val for result in results if result.seed == 1}
    assert vals["good"] == pytest.approx(1 / 3)  # three of nine images of target_val


def test_finished_seeds_are_not_evaluated_again(
    tmp_path: Path, simulation: SimulatedTrials
) -> None:
    spec = make_tiny_search()
    configurations = configurations_of(spec, good=1.0)
    first = replicate_seeds(spec, configurations, [1], tmp_path)
    simulation.splits = make_splits(test_samples=4)
    both = replicate_seeds(spec, configurations, [1, 2], tmp_path)
    assert both[: len(first)] == first
    assert {result.seed for result in both} == {1, 2}


def test_a_folder_with_other_configurations_is_refused(
    tmp_path: Path, simulation: SimulatedTrials
) -> None:
    spec = make_tiny_search()
    replicate_seeds(spec, configurations_of(spec, good=1.0), [1], tmp_path)
    with pytest.raises(ResultsError, match="holds other configurations; move it away"):
        replicate_seeds(spec, configurations_of(spec, good=5.0), [1], tmp_path)


def test_nothing_can_be_confirmed_without_target_labels(
    tmp_path: Path, simulation: SimulatedTrials
) -> None:
    simulation.splits = make_splits(test_samples=0)
    spec = make_tiny_search()
    with pytest.raises(ResultsError, match="noise has no labels: nothing can be confirmed"):
        replicate_seeds(spec, configurations_of(spec, good=1.0), [1], tmp_path)
    assert list(tmp_path.iterdir()) == []
