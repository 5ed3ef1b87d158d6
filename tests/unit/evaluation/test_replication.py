"""Training under new seeds, without Ray: prepared runs and trials are simulated."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from support.fake_run import (
    LOST,
    PLAN,
    SimulatedTrials,
    make_run,
    make_splits,
    make_tiny_search,
    printed,
)

from adaptune.errors import ResultsError
from adaptune.evaluation import replication
from adaptune.evaluation.confirmation import all_values
from adaptune.evaluation.replication import Configuration, SeedResult, replicate
from adaptune.evaluation.test_scores import run_once
from adaptune.results.folder import ResultsFolder
from adaptune.results.remote import upload
from adaptune.spec.schema import SearchSpec
from adaptune.study.study import SearchStudy, create_study


@pytest.fixture
def simulation(monkeypatch: pytest.MonkeyPatch) -> SimulatedTrials:
    """Replaces what needs Ray."""
    trials = SimulatedTrials([0], make_splits(test_samples=8))
    monkeypatch.setattr(replication, "load_splits", trials.load_splits)
    monkeypatch.setattr(replication, "prepare_run", trials.prepare_run)
    monkeypatch.setattr(replication, "run_trials", trials.run_trials)
    return trials


def replicate_seeds(
    spec: SearchSpec,
    configurations: list[Configuration],
    seeds: list[int],
    folder: Path,
    study: SearchStudy | None = None,
) -> list[SeedResult]:
    console: Any = make_run(folder).console
    study = study or create_study(spec)
    return replicate(study, spec, configurations, seeds, folder, lambda _: PLAN, console)


def test_each_seed_but_the_first_tells_the_time_that_is_left(
    tmp_path: Path, simulation: SimulatedTrials, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([0.0, 0.0, 600.0, 1200.0])
    clock = SimpleNamespace(perf_counter=lambda: next(times))
    monkeypatch.setattr(replication, "time", clock)
    spec = make_tiny_search()
    console = Console(file=StringIO(), width=200)
    configurations = configurations_of(spec, good=1.0)
    replicate(
        create_study(spec), spec, configurations, [5, 6, 7], tmp_path, lambda _: PLAN, console
    )
    lines = [line for line in printed(console).splitlines() if line.startswith("seed ")]
    assert lines == [
        "seed 5 (1 of 3): good",
        "seed 6 (2 of 3, about 20 min left): good",
        "seed 7 (3 of 3, about 10 min left): good",
    ]


def evaluated_models(study: SearchStudy) -> list[str]:
    """Return the models whose evaluation on the test set the study counts."""
    attributes = study.optuna_study.user_attrs
    return [
        value["model"] for key, value in attributes.items() if key.startswith("test_evaluation:")
    ]


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
    assert [result.seed for result in results] == [1] * 9 + [2] * 9
    tests = {result.configuration: result.target_test for result in results if result.seed == 1}
    assert list(tests) == [
        "source only",
        "information only",
        "no GAN",
        "FDA",
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


def test_evaluations_under_new_seeds_count_as_evaluations_of_the_searchs_test(
    tmp_path: Path, simulation: SimulatedTrials
) -> None:
    simulation.labels = [0, None, 2]
    spec = make_tiny_search()
    study = create_study(spec)
    names = {"trial 3: cycle=1": 1.0, "trial 4: cycle=2": 2.0, "trial 5: cycle=3": 3.0}
    configurations = configurations_of(spec, **names)
    folder = tmp_path / "confirm"
    replicate_seeds(spec, configurations, [1, 2], folder, study)
    expected = [
        "confirm seed 1: trial 3",
        "confirm seed 1: trial 5",
        "confirm seed 2: trial 3",
        "confirm seed 2: trial 5",
    ]
    assert evaluated_models(study) == expected  # the trial that failed was not evaluated
    replicate_seeds(spec, configurations, [1, 2], folder, study)
    assert evaluated_models(study) == expected
    # An extension of the search states all of them in its verdict.
    assert run_once(study, "trial 9, epoch 2", lambda: {"adapted": 0.9})[1] == 5


def test_an_interrupted_evaluation_under_a_new_seed_counts(
    tmp_path: Path, simulation: SimulatedTrials, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_tiny_search()
    study = create_study(spec)
    configurations = configurations_of(spec, full=1.0)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupted:
        interrupted.setattr(replication, "predict", interrupt)
        with pytest.raises(KeyboardInterrupt):
            replicate_seeds(spec, configurations, [1], tmp_path / "ablation", study)
    assert evaluated_models(study) == ["ablation seed 1: full"]
    replicate_seeds(spec, configurations, [1], tmp_path / "ablation", study)
    assert evaluated_models(study) == ["ablation seed 1: full"]


def test_stored_results_are_counted_in_a_study_that_lacks_them(
    tmp_path: Path, simulation: SimulatedTrials
) -> None:
    spec = make_tiny_search()
    configurations = configurations_of(spec, full=1.0)
    replicate_seeds(spec, configurations, [1], tmp_path / "ablation")
    older = create_study(spec)
    replicate_seeds(spec, configurations, [1], tmp_path / "ablation", older)
    assert evaluated_models(older) == ["ablation seed 1: full"]


def test_a_seed_is_resumed_from_its_copy_on_another_machine(
    tmp_path: Path, simulation: SimulatedTrials
) -> None:
    store = (tmp_path / "store").as_uri()
    spec = make_tiny_search(storage={"out": str(tmp_path / "first"), "remote": store})
    configurations = configurations_of(spec, good=1.0)
    first = replicate_seeds(spec, configurations, [1], tmp_path / "first" / "confirm")
    upload(ResultsFolder(tmp_path / "first" / "confirm" / "seed-1", f"{store}/fake/confirm/seed-1"))
    simulation.splits = make_splits(test_samples=4)  # another evaluation has another result
    again = replicate_seeds(spec, configurations, [1], tmp_path / "second" / "confirm")
    assert again == first
    assert simulation.searches == ["seed-1", "seed-1"]


def test_a_store_that_does_not_answer_is_not_taken_for_other_configurations(
    tmp_path: Path, simulation: SimulatedTrials
) -> None:
    (tmp_path / "store").write_text("a file, not a folder")
    spec = make_tiny_search(storage={"remote": (tmp_path / "store").as_uri()})
    with pytest.raises(ResultsError, match=r"storage\.remote: cannot use") as caught:
        replicate_seeds(spec, configurations_of(spec, good=1.0), [1], tmp_path)
    assert "other configurations" not in str(caught.value)


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
