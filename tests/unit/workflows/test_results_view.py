from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from support.fake_run import make_summary, save_checkpoint
from support.fake_search import make_record

from adaptune.data.splits import load_splits
from adaptune.errors import CheckpointError, ResultsError
from adaptune.evaluation.summary import write_summary
from adaptune.results.folder import ResultsFolder, write_table
from adaptune.results.lifecycle import create_or_resume
from adaptune.results.splits_manifest import write_or_verify
from adaptune.spec import load_spec
from adaptune.study.inputs import record_inputs
from adaptune.study.storage import open_study
from adaptune.workflows.results_view import export_trial, search_report, search_status


def test_the_status_counts_trials_by_state(killed: ResultsFolder) -> None:
    before = killed.journal.read_bytes()
    status = search_status(killed.path)
    assert status.headline == (
        "small: 3 of 3 trials: 1 complete, 1 failed, 1 running or interrupted"
    )
    assert status.best == "best so far: trial 0, epoch 2, target_val 75.0%"
    assert [row[0] for row in status.trials.rows] == ["0", "1", "2"]
    assert killed.journal.read_bytes() == before


def test_a_running_trial_may_be_the_best_so_far(space: Path) -> None:
    spec = load_spec(space)
    folder = create_or_resume(spec, resume=False)
    study = open_study(spec, folder.journal)
    study.add_epoch(study.ask(), make_record(1, 0.25), 0.25)
    status = search_status(folder.path)
    assert status.best == "best so far: trial 0, epoch 1, target_val 25.0%"


def test_the_status_before_the_first_trial(space: Path) -> None:
    spec = load_spec(space)
    folder = create_or_resume(spec, resume=False)
    with pytest.raises(ResultsError, match="has not begun its trials"):
        search_status(folder.path)
    open_study(spec, folder.journal)
    status = search_status(folder.path)
    assert (status.headline, status.best) == ("small: 0 of 3 trials", None)


def test_a_folder_without_a_search_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="holds no search"):
        search_status(tmp_path)
    with pytest.raises(ResultsError, match="holds no search"):
        search_report(tmp_path)
    with pytest.raises(ResultsError, match="holds no search"):
        export_trial(tmp_path)


def test_a_search_that_has_not_finished_has_a_report(killed: ResultsFolder) -> None:
    before = killed.journal.read_bytes()
    contents = search_report(killed.path)
    assert contents.summary is None
    assert contents.state.startswith("small: 3 of 3 trials: 1 complete, 1 failed")
    assert not contents.costs
    assert "The search has not finished" in contents.write_page().read_text()
    assert killed.journal.read_bytes() == before


def test_the_report_has_everything_that_a_terminal_shows(killed: ResultsFolder) -> None:
    write_summary(make_summary(), killed.summary)
    (killed.path / "confirm").mkdir()
    rows = {"configuration": ["trial 0"], "seeds": [3], "mean": [0.9], "standard_error": [None]}
    write_table(killed.path / "confirm" / "confirm.parquet", pa.table(rows))
    contents = search_report(killed.path)
    assert contents.summary is not None
    assert contents.summary.verdict == "It helped."
    assert contents.costs.rows[0] == ("trials that trained all epochs", "12")
    assert contents.warm_start is None
    assert not contents.pareto_front
    assert contents.validators
    assert contents.replications["confirm"].table.rows == [("trial 0", "3", "90.0")]
    assert not contents.replications["ablation"].table
    assert not killed.report.exists()
    assert contents.write_page() == killed.report
    assert "It helped." in killed.report.read_text()


def test_the_best_trial_is_exported_with_target_val_figures_only(killed: ResultsFolder) -> None:
    checkpoint, folder = export_trial(killed.path)
    assert (checkpoint, folder) == ("trial 0, epoch 2", killed.path / "exports" / "0")
    assert json.loads((folder / "metrics.json").read_text()) == {
        "trial": 0,
        "epoch": 2,
        "target_val_accuracy": 0.75,
        "target_val_loss": 1.0,
        "target_val_metrics": {"accuracy": 0.75},
    }
    assert json.loads((folder / "config.json").read_text())["class_names"] == ["cat", "dog"]


def test_an_export_needs_no_data(killed: ResultsFolder, space: Path) -> None:
    shutil.rmtree(space.parent / "source")
    _, folder = export_trial(killed.path)
    assert json.loads((folder / "config.json").read_text())["class_names"] == ["cat", "dog"]


def test_a_trial_is_exported_by_its_number_to_another_folder(
    killed: ResultsFolder, tmp_path: Path
) -> None:
    assert export_trial(killed.path, 0, tmp_path / "export")[1] == tmp_path / "export"


def test_a_trial_of_a_group_is_exported_from_the_folder_of_the_first_one(space: Path) -> None:
    spec = load_spec(space)
    folder = create_or_resume(spec, resume=False)
    study = open_study(spec, folder.journal)
    inputs, _ = record_inputs(study, data="data", source_classifier="f_S", device="CPU")
    write_or_verify(load_splits(spec.data, spec.seed), folder)
    first, member = study.ask_group(2)
    record = make_record(1, 0.5)
    study.add_epoch(member, record, 0.5)
    study.tell_result(member, epochs=2, error=None, wall_s=1)
    values = member.params
    save_checkpoint(spec, folder, member.number, values, record, 0, inputs, leader=first.number)
    checkpoint, export = export_trial(folder.path, member.number)
    assert (checkpoint, export) == ("trial 1, epoch 1", folder.path / "exports" / "1")
    assert json.loads((export / "metrics.json").read_text())["trial"] == 1


def test_a_trial_without_a_checkpoint_cannot_be_exported(killed: ResultsFolder) -> None:
    with pytest.raises(ResultsError, match=r"there is no trial 7; there are 0, 1, 2"):
        export_trial(killed.path, 7)
    with pytest.raises(ResultsError, match="trial 1 has not finished an epoch"):
        export_trial(killed.path, 1)
    with pytest.raises(CheckpointError, match="cannot read checkpoint"):
        export_trial(killed.path, 2)


def test_the_best_trial_needs_one_that_finished(space: Path) -> None:
    spec = load_spec(space)
    folder = create_or_resume(spec, resume=False)
    open_study(spec, folder.journal)
    with pytest.raises(ResultsError, match="no trial has finished yet: name one with --trial"):
        export_trial(folder.path)
    with pytest.raises(ResultsError, match="there is no trial 0; there are none"):
        export_trial(folder.path, 0)
