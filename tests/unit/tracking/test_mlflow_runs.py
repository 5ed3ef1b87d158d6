"""MLflow with a store of its own, written and read by MLflow."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.fake_run import make_summary
from support.fake_search import make_record
from support.tracked_search import EPOCHS, TRIALS, make_tracked, make_tracked_run, train, write_grid

from adaptune.search.driver import SearchRun
from adaptune.tracking.tracker import TrackedSearch, TrackerCallback, epoch_figures
from adaptune.training.metrics import ClassScores

mlflow = pytest.importorskip("mlflow")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


class Store:
    """A store in a file, and the search that writes to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"sqlite:///{folder / 'mlflow.db'}"
        self.client = mlflow.MlflowClient(self.address)
        self.client.create_experiment("digits", artifact_location=str(folder / "artifacts"))
        self.spec = make_tracked(folder, project="digits")

    def session(self, stop_after: int | None = None) -> SearchRun:
        """Run the search, or resume it, to its end or for some epochs."""
        from adaptune.tracking.mlflow_runs import MlflowTracker

        run = make_tracked_run(self.spec, self.folder / "s")
        write_grid(run, 0, 1)
        search = TrackedSearch.of(run)
        callback = TrackerCallback("MLflow", lambda: MlflowTracker(self.address, search), run.study)
        train(run, callback, stop_after=stop_after)
        export = run.folder.best
        export.mkdir(exist_ok=True)
        (export / "config.json").write_text("{}")
        summary = make_summary(target_val_accuracy=0.5)
        run.folder.summary.write_text(summary.model_dump_json())
        callback.finish(summary, export)
        return run

    def runs(self) -> list[mlflow.entities.Run]:
        experiment = self.client.get_experiment_by_name("digits")
        return list(self.client.search_runs([experiment.experiment_id]))


def artifacts(store: Store, run_id: str, path: str | None = None) -> set[str]:
    return {file.path for file in store.client.list_artifacts(run_id, path)}


def test_a_search_is_a_run_with_a_nested_run_per_trial_also_after_a_resume(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.session(stop_after=4)
    search = store.session()
    [parent] = [run for run in store.runs() if "mlflow.parentRunId" not in run.data.tags]
    nested = [run for run in store.runs() if run is not parent and run.info != parent.info]
    assert len(nested) == TRIALS
    assert {run.data.tags["mlflow.parentRunId"] for run in nested} == {parent.info.run_id}
    for run in nested:
        trial = search.study.trial(int(run.data.tags["adaptune.trial"]))
        assert run.info.run_name == f"trial {trial.number}"
        assert run.info.status == "FINISHED"
        assert run.data.params == {path: str(value) for path, value in trial.values.items()}
        history = store.client.get_metric_history(run.info.run_id, "objective")
        assert {point.step: point.value for point in history} == trial.curve
        assert len(history) == EPOCHS  # a resume repeats none
        for name, value in epoch_figures(trial.epochs[-1]).items():
            assert run.data.metrics[name] == value
        assert run.data.metrics["best_objective"] == trial.best_value
    assert parent.data.metrics["target_val_accuracy"] == 0.5
    assert parent.data.metrics["trials_total"] == 3
    assert artifacts(store, parent.info.run_id) == {"best", "search.yaml", "summary.json"}
    assert artifacts(store, parent.info.run_id, "best") == {"best/config.json"}
    [first] = [run for run in nested if run.data.tags["adaptune.trial"] == "0"]
    assert artifacts(store, first.info.run_id, "translations") == {"translations/epoch-0001.png"}


def test_the_runs_of_a_stopped_search_are_killed_until_its_resume(tmp_path: Path) -> None:
    from adaptune.tracking.mlflow_runs import MlflowTracker

    store = Store(tmp_path)
    run = make_tracked_run(store.spec, tmp_path / "s")
    train(run, stop_after=4)
    trials = run.study.started_trials()
    search = TrackedSearch.of(run)
    tracker = MlflowTracker(store.address, search)
    for trial in trials:
        tracker.update(trial)
    tracker.stop()
    # The first trial has ended; the second one is in its second epoch.
    assert sorted(run.info.status for run in store.runs()) == ["FINISHED", "KILLED", "KILLED"]
    tracker = MlflowTracker(store.address, search)
    for trial in trials:
        tracker.update(trial)
    assert sorted(run.info.status for run in store.runs()) == ["FINISHED", "RUNNING", "RUNNING"]


def test_the_run_of_an_extended_search_runs_again(tmp_path: Path) -> None:
    from adaptune.tracking.mlflow_runs import MlflowTracker

    store = Store(tmp_path)
    run = make_tracked_run(store.spec, tmp_path / "s")
    search = TrackedSearch.of(run)
    MlflowTracker(store.address, search).finish(make_summary(), None)
    [finished] = store.runs()
    assert finished.info.status == "FINISHED"
    MlflowTracker(store.address, search)
    [extended] = store.runs()
    assert (extended.info.run_id, extended.info.status) == (finished.info.run_id, "RUNNING")


def test_names_of_classes_cannot_break_the_name_of_a_metric(tmp_path: Path) -> None:
    from adaptune.tracking.mlflow_runs import MlflowTracker

    store = Store(tmp_path)
    run = make_tracked_run(store.spec, tmp_path / "s")
    tracker = MlflowTracker(store.address, TrackedSearch.of(run))
    trial = run.study.ask()
    scores = ClassScores(0.5, 0.5, None, {"a+b (50%)": 0.5})
    run.study.add_epoch(trial, make_record(1, 0.5, target_val=scores), 0.5)
    tracker.update(run.study.trial(trial.number))
    [metrics] = [run.data.metrics for run in store.runs() if run.data.metrics]
    assert metrics["target_val_recall/a_b _50__"] == 0.5
