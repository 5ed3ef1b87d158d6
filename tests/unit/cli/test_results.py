"""The commands that read a results folder, on a search that was killed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from support.fake_run import make_summary
from support.fake_search import make_record

from adaptune.evaluation.summary import write_summary
from adaptune.results.folder import ResultsFolder, write_table
from adaptune.results.lifecycle import create_or_resume
from adaptune.spec import load_spec
from adaptune.study.storage import open_study

Run = Callable[..., Any]
Refuse = Callable[..., str]


def test_status_of_a_killed_search(run: Run, killed: ResultsFolder) -> None:
    before = killed.journal.read_bytes()
    status, out, error = run("status", killed.path)
    assert (status, error) == (0, "")
    assert out.startswith("small: 3 of 3 trials: 1 complete, 1 failed, 1 running or interrupted\n")
    assert "best so far: trial 0, epoch 2, target_val 75.0%" in out
    rows = [line.split() for line in out.splitlines() if line.strip()[:1].isdigit()]
    assert [row[0] for row in rows] == ["0", "1", "2"]
    assert "2/2" in rows[0]
    assert "1/2" in rows[2]
    assert killed.journal.read_bytes() == before


def test_status_has_one_line_per_trial(run: Run, killed: ResultsFolder) -> None:
    _, *lines = run("status", killed.path).out.splitlines()
    assert [line.split()[0] for line in lines] == ["best", "trial", "0", "1", "2"]
    assert lines[1].split() == ["trial", "state", "epoch", "best", "val", "values"]
    assert lines[1].index("values") <= 40  # so that values have room in 80 columns
    assert lines[2].split()[:5] == ["0", "complete", "2/2", "2", "75.0%"]


def test_status_before_the_first_trial_and_of_no_search(
    run: Run, refusal: Refuse, tmp_path: Path, space: Path
) -> None:
    assert "holds no search" in refusal("status", tmp_path)
    spec = load_spec(space)
    folder = create_or_resume(spec, resume=False)
    assert "has not begun its trials" in refusal("status", folder.path)
    open_study(spec, folder.journal)
    assert run("status", folder.path).out == "small: 0 of 3 trials\n"


def test_report_of_a_search_that_has_not_finished(run: Run, killed: ResultsFolder) -> None:
    status, out, error = run("report", killed.path)
    assert (status, error) == (0, "")
    assert out.startswith("small: 3 of 3 trials: 1 complete, 1 failed, 1 running or interrupted\n")
    assert "the search has not finished: the report shows what is known so far" in out
    assert out.endswith(f"with plots: {killed.report}\n")
    assert "The search has not finished" in killed.report.read_text()


def test_report_of_a_search_that_has_finished(run: Run, killed: ResultsFolder) -> None:
    summary = make_summary(trials_unhealthy={"label flip": 2}, device_s_useful=12.0)
    write_summary(summary, killed.summary)
    status, out, _ = run("report", killed.path)
    assert status == 0
    assert out.startswith("It helped.\n\n")
    rows = [line.split() for line in out.splitlines()]
    assert ["trials", "that", "trained", "all", "epochs", "12"] in rows
    assert '<svg class="plot"' in killed.report.read_text()
    assert out.endswith(f"with plots: {killed.report}\n")
    assert "unhealthy trials: 2 label flip" in out


def test_report_tells_what_the_search_added_to_its_start_points(
    run: Run, killed: ResultsFolder
) -> None:
    write_summary(make_summary(search_verdict="The search added nothing."), killed.summary)
    out = run("report", killed.path).out
    assert out.startswith("It helped.\nThe search added nothing.\n\n")
    assert "<p>The search added nothing.</p>" in killed.report.read_text()


def test_report_shows_everything_before_a_full_disk_refuses_the_page(
    run: Run, killed: ResultsFolder
) -> None:
    write_summary(make_summary(), killed.summary)
    killed.report.mkdir()
    status, out, error = run("report", killed.path)
    assert status == 2
    assert "device seconds" in out
    assert error.startswith(f"adaptune: cannot write {killed.report}: ")


def test_report_has_the_tables_of_confirm_and_ablate(run: Run, killed: ResultsFolder) -> None:
    write_summary(make_summary(), killed.summary)
    (killed.path / "ablation").mkdir()
    rows = {
        "configuration": ["no cycle"],
        "seeds": [3],
        "mean": [0.91],
        "standard_error": [0.005],
    }
    table = pa.table(rows).replace_schema_metadata({"conclusion": "It is worth it."})
    write_table(killed.path / "ablation" / "ablation.parquet", table)
    out = run("report", killed.path).out
    assert "ablation:" in out
    assert "no cycle        3       91.0 ± 0.5" in out
    assert "It is worth it." in out
    assert "confirm:" not in out


def test_report_names_the_searches_that_the_sampler_learned_from(
    run: Run, killed: ResultsFolder
) -> None:
    write_summary(make_summary(), killed.summary)
    open_study(load_spec(killed.spec), killed.journal).record_warm_start({"results/earlier": 4})
    out = run("report", killed.path).out
    assert "warm start: the sampler also learned from 4 trial(s) of results/earlier\n" in out


def test_report_of_two_objectives_has_the_pareto_front(run: Run, space: Path) -> None:
    spec = load_spec(space, ["search.sampler=nsga2"])
    folder = create_or_resume(spec, resume=False)
    study = open_study(spec, folder.journal)
    for accuracy, seconds in ((0.9, 30.0), (0.5, 40.0), (0.6, 5.0)):
        trial = study.ask()
        record = make_record(2, accuracy, train_s=seconds, eval_s=0.0)
        study.add_epoch(trial, record, accuracy)
        study.tell_result(trial, epochs=2, error=None, wall_s=1)
    write_summary(make_summary(), folder.summary)
    front = []
    for line in run("report", folder.path).out.splitlines():
        if line.strip().startswith("trial "):
            front.append(line.split()[:5])
    assert front == [
        ["trial", "2", "target_val", "60.0%", "5"],
        ["trial", "0", "target_val", "90.0%", "30"],
    ]


def test_report_refuses_the_summary_of_an_older_version(
    refusal: Refuse, killed: ResultsFolder
) -> None:
    killed.summary.write_text('{"verdict": "It helped."}')
    assert "is damaged, or of another version of adaptune" in refusal("report", killed.path)
