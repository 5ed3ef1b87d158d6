"""Weights & Biases offline, written by W&B and read from its files."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from support.fake_run import make_summary
from support.tracked_search import EPOCHS, TRIALS, make_tracked, make_tracked_run, train, write_grid

from adaptune.search.driver import SearchRun
from adaptune.study.tracking_id import tracking_id
from adaptune.tracking.tracker import TrackedSearch, TrackerCallback, epoch_figures

pytest.importorskip("wandb")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def session(folder: Path, stop_after: int | None = None) -> SearchRun:
    """Run a search, or resume it, to its end or for some epochs."""
    from adaptune.tracking.wandb_runs import WandbTracker

    run = make_tracked_run(make_tracked(folder), folder / "s")
    write_grid(run, 0, 1)
    search = TrackedSearch.of(run)
    callback = TrackerCallback("W&B", lambda: WandbTracker("offline", search), run.study)
    train(run, callback, stop_after=stop_after)
    export = run.folder.best
    export.mkdir(exist_ok=True)
    (export / "config.json").write_text("{}")
    callback.finish(make_summary(target_val_accuracy=0.5), export)
    return run


def test_a_search_is_a_group_of_a_run_and_one_per_trial_also_after_a_resume(
    tmp_path: Path,
) -> None:
    from support.wandb_files import read_offline_runs

    session(tmp_path, stop_after=4)
    time.sleep(1.1)  # the names of the files have the second
    search = session(tmp_path)
    runs = read_offline_runs(search.folder.path)
    identity = tracking_id(search.study)
    assert sorted(runs) == [identity, *(f"{identity}-{number}" for number in range(TRIALS))]
    assert {run.group for run in runs.values()} == {f"fake-{identity}"}
    for number in range(TRIALS):
        run = runs[f"{identity}-{number}"]
        trial = search.study.trial(number)
        assert (run.name, run.kind, run.exit_code) == (f"trial {number}", "trial", 0)
        assert {path: run.config[path] for path in trial.values} == trial.values
        curve = {step: run.history[step]["objective"] for step in range(1, EPOCHS + 1)}
        assert curve == trial.curve
        expected = epoch_figures(trial.epochs[-1])
        assert {name: run.history[EPOCHS][name] for name in expected} == expected
        assert run.summary["best_objective"] == trial.best_value
        assert run.summary["state"] == "complete"
        assert run.repeated == []
    assert runs[f"{identity}-0"].history[EPOCHS + 1]["translations.count"] == 1
    of_search = runs[identity]
    assert of_search.kind == "search"
    assert of_search.summary["target_val_accuracy"] == 0.5
    assert "fake-best" in of_search.artifacts
