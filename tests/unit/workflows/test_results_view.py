from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from support.fake_run import make_summary
from support.fake_search import make_record

from adaptune.errors import ResultsError
from adaptune.evaluation.summary import write_summary
from adaptune.results.folder import ResultsFolder, write_table
from adaptune.results.lifecycle import create_or_resume
from adaptune.spec import load_spec
from adaptune.study.storage import open_study
from adaptune.workflows.results_view import search_report, search_status


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
