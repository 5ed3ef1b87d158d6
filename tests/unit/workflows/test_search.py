"""The search from a spec to its results, over simulated trials."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from support.fake_run import (
    LOST,
    PLAN,
    SimulatedTrials,
    fail_with,
    make_tiny_search,
    opened,
    printed,
)
from support.stop_signals import drop_signal

from adaptune.artifacts import load_export
from adaptune.errors import (
    DataError,
    InterruptedSearchError,
    NodesLostError,
    ResourceError,
    ResultsError,
    SearchFailedError,
    SpecError,
)
from adaptune.evaluation.summary import read_summary
from adaptune.results.folder import ResultsFolder
from adaptune.search.driver import SearchRun
from adaptune.spec import load_spec
from adaptune.spec.schema import SearchSpec
from adaptune.study.baseline_objectives import known_baseline_objectives
from adaptune.study.storage import read_study
from adaptune.workflows import search
from adaptune.workflows.search import print_start, run


@pytest.fixture
def console() -> Console:
    return Console(file=StringIO(), width=500, highlight=False, emoji=False)


def test_a_search_leaves_a_summary_an_export_and_a_report(
    spec: SearchSpec, trials: SimulatedTrials, tmp_path: Path, console: Console
) -> None:
    result = run(spec, console=console)
    folder = ResultsFolder(tmp_path / "fake")
    assert (result.folder, result.export) == (folder.path, folder.best)
    assert result.copied
    assert result.summary == read_summary(folder.summary)
    assert (result.summary.best_trial, result.summary.target_test_accuracy) == (0, 0.5)
    assert result.summary.target_test_evaluations == 1
    assert known_baseline_objectives(read_study(spec, folder.journal)).keys() == {"source_only"}
    assert load_export(folder.best).class_names == ("a", "b", "c")
    assert folder.report.exists()
    lines = printed(console).splitlines()
    assert lines[0].startswith("adaptune: fake, 1 trial(s) at a time, ")
    assert lines[1:3] == ["dashboard: http://127.0.0.1:8265", f"results: {folder.path}"]
    assert lines[3].startswith("estimate: about ")
    assert lines[4] == "best: trial 0, epoch 2"
    assert "2 trial(s): 1 complete, 0 stopped early, 1 failed; " in printed(console)
    assert lines[-3:] == [
        result.summary.verdict,
        f"exported to {folder.best}",
        f"report: {folder.report}",
    ]


def test_the_results_and_the_export_name_the_places_of_the_data_absolutely(
    trials: SimulatedTrials, tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = {"out": str(tmp_path / "results")}
    baselines = {"baselines": False}
    spec = make_tiny_search("imagefolder:noise/.", storage=storage, evaluation=baselines)
    monkeypatch.chdir(tmp_path)
    result = run(spec, console=console)
    monkeypatch.chdir("/")
    domain = f"imagefolder:{tmp_path / 'noise'}"
    assert load_spec(result.folder / "search.yaml").data.target.domain == domain
    assert result.export is not None
    assert load_export(result.export).domains["target"].domain == domain


def test_a_finished_search_leaves_no_files_of_ray(
    spec: SearchSpec,
    trials: SimulatedTrials,
    tmp_path: Path,
    console: Console,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scratch = Path(ResultsFolder(tmp_path / "fake").scratch("tune"))

    def run_trials(run: SearchRun) -> None:
        scratch.mkdir(parents=True)
        trials.run_trials(run)

    monkeypatch.setattr(search, "run_trials", run_trials)
    run(spec, console=console)
    assert not scratch.parent.exists()


def test_a_finished_search_that_is_resumed_says_the_same(
    spec: SearchSpec, trials: SimulatedTrials, console: Console
) -> None:
    first = run(spec, console=console)
    second = run(spec, resume=True, console=console)
    figures = {"wall_s"}
    assert second.summary.model_dump(exclude=figures) == first.summary.model_dump(exclude=figures)


def test_progress_is_printed_to_standard_output_by_default(
    spec: SearchSpec, trials: SimulatedTrials, capsys: pytest.CaptureFixture[str]
) -> None:
    run(spec)
    assert "best: trial 0, epoch 2\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("labels", "verdict"),
    [
        ([None], "No trial finished: there is nothing to export."),
        ([LOST], "No checkpoint can be read: there is nothing to export."),
    ],
)
def test_a_search_without_a_model_has_a_report_and_no_export(
    spec: SearchSpec,
    trials: SimulatedTrials,
    console: Console,
    labels: list[int | None],
    verdict: str,
) -> None:
    trials.labels = labels
    result = run(spec, console=console)
    assert result.export is None
    assert result.summary.verdict.startswith(verdict)
    assert verdict in printed(console)
    assert sorted(path.name for path in result.folder.glob("[!.]*")) == [
        "ray.log",
        "report.html",
        "search.yaml",
        "study.journal",
        "summary.json",
    ]


def test_results_that_cannot_be_copied_are_kept(
    spec: SearchSpec, trials: SimulatedTrials, tmp_path: Path, console: Console
) -> None:
    remote = tmp_path / "remote"
    storage = spec.storage.model_copy(update={"remote": f"file://{remote}"})

    def lose_the_store(search_run: Any) -> None:
        trials.run_trials(search_run)
        remote.rename(tmp_path / "moved")
        remote.write_text("a file, not a folder")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "run_trials", lose_the_store)
        trials.labels = [None]
        result = run(spec.model_copy(update={"storage": storage}), console=console)
    assert not result.copied
    assert f"not copied to file://{remote}/fake: " in printed(console)


@pytest.mark.parametrize(
    "error", [ResourceError("no room"), ResultsError("other data"), DataError("no image")]
)
def test_wrong_input_before_the_first_trial_leaves_nothing(
    spec: SearchSpec,
    trials: SimulatedTrials,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    fail_with(monkeypatch, "prepare_run", error)
    with pytest.raises(type(error)):
        run(spec)
    assert list(tmp_path.iterdir()) == []


def test_labels_of_target_images_that_no_trial_would_learn_from_are_refused(
    spec: SearchSpec, trials: SimulatedTrials, tmp_path: Path
) -> None:
    target = spec.data.target.model_copy(update={"train_labels": 5})
    data = spec.data.model_copy(update={"target": target})
    with pytest.raises(SpecError, match="train_labels has no effect: set or search"):
        run(spec.model_copy(update={"data": data}))
    assert list(tmp_path.iterdir()) == []


def test_wrong_input_after_the_study_was_created_removes_nothing(
    spec: SearchSpec, trials: SimulatedTrials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, "run_trials", ResourceError("no room"))
    with pytest.raises(ResourceError):
        run(spec)
    assert ResultsFolder(tmp_path / "fake").has_progress


def test_an_error_of_input_that_follows_a_signal_removes_nothing(
    spec: SearchSpec, trials: SimulatedTrials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        drop_signal()
        raise ResourceError("no node answers")

    monkeypatch.setattr(search, "plan_on_cluster", refuse)
    with pytest.raises(InterruptedSearchError, match="--resume continues"):
        run(spec)
    assert ResultsFolder(tmp_path / "fake").spec.exists()


def test_wrong_input_to_a_resumed_search_removes_nothing(
    spec: SearchSpec, trials: SimulatedTrials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        fail_with(patch, "plan_on_cluster", KeyboardInterrupt())
        with pytest.raises(InterruptedSearchError, match="--resume continues"):
            run(spec)
    fail_with(monkeypatch, "plan_on_cluster", ResourceError("no room"))
    with pytest.raises(ResourceError):
        run(spec, resume=True)
    assert ResultsFolder(tmp_path / "fake").spec.exists()


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (NodesLostError("no node had room"), NodesLostError),
        (RuntimeError("a task died"), SearchFailedError),
        (KeyboardInterrupt(), InterruptedSearchError),
    ],
)
def test_a_search_whose_source_classifier_failed_can_be_resumed(
    spec: SearchSpec,
    trials: SimulatedTrials,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    raised: type[Exception],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        fail_with(patch, "prepare_run", error)
        with pytest.raises(raised):
            run(spec)
    assert ResultsFolder(tmp_path / "fake").spec.exists()
    assert run(spec, resume=True).export is not None


def test_a_search_that_cannot_fit_on_this_machine_is_refused_first(
    spec: SearchSpec, trials: SimulatedTrials, tmp_path: Path
) -> None:
    resources = spec.resources.model_copy(update={"workers_per_trial": 4})
    large = spec.model_copy(update={"resources": resources})
    with pytest.raises(ResourceError, match=r"a trial needs 4 worker\(s\)"):
        run(large)
    assert list(tmp_path.iterdir()) == []
    assert run(large, address="127.0.0.1:6379").export is not None


def test_remarks_on_the_data_are_printed(
    spec: SearchSpec, trials: SimulatedTrials, monkeypatch: pytest.MonkeyPatch, console: Console
) -> None:
    data = opened(trials.splits)
    data.notes = ("imagefolder:a: 1 file (1 .xml) passed over",)
    monkeypatch.setattr(search, "open_splits", lambda *_: data)
    run(spec, console=console)
    assert "imagefolder:a: 1 file (1 .xml) passed over\n" in printed(console)


def test_on_a_cluster_its_nodes_prepare_the_images(
    spec: SearchSpec, trials: SimulatedTrials, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = opened(trials.splits)
    data.missing_chunks = lambda: ["chunk"]
    prepared: list[object] = []
    monkeypatch.setattr(search, "open_splits", lambda *_: data)
    monkeypatch.setattr(
        search, "prepare_on_nodes", lambda chunks, progress: prepared.append(chunks)
    )
    run(spec)
    assert prepared == []
    run(spec.model_copy(update={"name": "other"}), address="127.0.0.1:6379")
    assert prepared == [["chunk"]]


def test_a_grid_with_fewer_points_than_trials_is_announced(console: Console) -> None:
    grid = {"name": "grid", "points": 2}
    spec = make_tiny_search(search={"trials": 20, "sampler": grid})
    print_start(spec, PLAN, ResultsFolder(Path("results")), "", console)
    assert printed(console).splitlines() == [
        f"adaptune: fake, {PLAN.describe()}",
        "the grid has 4 points, fewer than 20 trials",
        "results: results",
    ]
