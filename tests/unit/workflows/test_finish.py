from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from support.fake_run import make_summary, printed

from adaptune.evaluation.summary import write_summary
from adaptune.results.folder import ResultsFolder
from adaptune.results.lease import DriverLease
from adaptune.spec import load_spec
from adaptune.study.storage import read_study
from adaptune.training.bootstrap import Estimate
from adaptune.workflows.finish import copy_to_remote, print_summary, write_report_if_possible


@pytest.fixture
def console() -> Console:
    return Console(file=StringIO(), width=500, highlight=False)


def test_the_summary_has_counts_accuracies_and_the_verdict(console: Console) -> None:
    summary = make_summary(
        source_only_test_accuracy=0.7,
        target_test_accuracy=0.9,
        target_supervised_test_accuracy=0.95,
        gap_closed=0.8,
    )
    print_summary(summary, console)
    assert printed(console).splitlines() == [
        "",
        "3 trial(s): 2 complete, 0 stopped early, 1 failed; 9 s",
        "  source only       70.0%",
        "  adapted           90.0%",
        "  target supervised 95.0%",
        "  gap closed        0.80",
        "It helped.",
    ]


def test_the_metrics_of_the_test_are_a_table_with_intervals(console: Console) -> None:
    low = {"accuracy": Estimate(0.7, (0.6, 0.8)), "macro_f1": Estimate(0.05, (0.0, 0.1))}
    high = {"accuracy": Estimate(1.0, (0.9, 1.0)), "macro_f1": Estimate(0.5, (0.25, 0.75))}
    summary = make_summary(
        test_metrics={"adapted": high, "source_only": low},
        target_test_recall={"cat": Estimate(0.9, (0.8, 1.0)), "dog\n": None},
        target_test_accuracy=1.0,
    )
    print_summary(summary, console)
    assert printed(console).splitlines()[2:] == [
        "               accuracy               macro F1",
        "  source only  70.0 (60.0 to 80.0)    5.0 (0.0 to 10.0)",
        "  adapted      100.0 (90.0 to 100.0)  50.0 (25.0 to 75.0)",
        "accuracy per class, %: cat 90.0, dog\\n no image",
        "It helped.",
    ]


def test_the_choices_of_the_baselines_are_a_table(console: Console) -> None:
    baseline = {
        "name": "no GAN",
        "setting": "task 1, feature 0.3",
        "epoch": 7,
        "updates": 2400,
        "test_accuracy": 0.9,
        "test_ci95": (0.8, 0.95),
    }
    print_summary(
        make_summary(baselines=[baseline], search_updates=6000, baseline_updates=2400), console
    )
    assert printed(console).splitlines()[2:] == [
        "  baseline  setting              epoch  updates  accuracy, %",
        "  no GAN    task 1, feature 0.3  7      2,400    90.0 (80.0 to 95.0)",
        "updates: 6,000 by the trials of the search, 2,400 by the baselines",
        "It helped.",
    ]


def test_what_the_search_added_follows_the_verdict(console: Console) -> None:
    summary = make_summary(
        early_end="It ended early.",
        search_verdict="The search added nothing.",
        stopping_verdict="It ranked rightly.",
    )
    print_summary(summary, console)
    sentences = ["It helped.", "It ended early.", "The search added nothing.", "It ranked rightly."]
    assert printed(console).splitlines()[2:] == sentences


def test_the_summary_without_target_labels_has_no_accuracies(console: Console) -> None:
    print_summary(make_summary(), console)
    assert printed(console).splitlines()[2:] == ["It helped."]


def report(folder: ResultsFolder, console: Console) -> None:
    spec = load_spec(folder.spec)
    write_report_if_possible(folder, spec, read_study(spec, folder.journal), console)


def test_a_search_without_a_summary_gets_no_page(killed: ResultsFolder, console: Console) -> None:
    report(killed, console)
    assert printed(console) == ""
    assert not killed.report.exists()


def test_the_page_of_a_finished_search_is_named(killed: ResultsFolder, console: Console) -> None:
    write_summary(make_summary(), killed.summary)
    report(killed, console)
    assert printed(console) == f"report: {killed.report}\n"
    assert "It helped." in killed.report.read_text()


def test_a_page_that_cannot_be_written_ends_nothing(
    killed: ResultsFolder, console: Console
) -> None:
    write_summary(make_summary(), killed.summary)
    killed.report.mkdir()
    report(killed, console)
    assert printed(console).startswith(f"no report: cannot write {killed.report}: ")
    assert printed(console).endswith(f"; `adaptune report {killed.path}` writes it again\n")


def test_results_are_copied_only_if_the_spec_says_so(
    killed: ResultsFolder, console: Console
) -> None:
    assert copy_to_remote(killed, console, DriverLease())
    assert printed(console) == ""


def test_results_are_copied_with_everything_but_checkpoints(
    killed: ResultsFolder, console: Console, tmp_path: Path
) -> None:
    remote = tmp_path / "remote" / "small"
    write_summary(make_summary(), killed.summary)
    folder = replace(killed, remote=f"file://{remote}")
    assert copy_to_remote(folder, console, DriverLease())
    assert printed(console) == f"copied to file://{remote}\n"
    assert (remote / "summary.json").read_bytes() == killed.summary.read_bytes()
    assert (remote / "study.journal").is_dir()
    assert not list(remote.rglob("*.pt"))


def test_a_copy_that_fails_is_reported_with_how_to_repeat_it(
    killed: ResultsFolder, console: Console, tmp_path: Path
) -> None:
    (tmp_path / "remote").write_text("a file, not a folder")
    folder = replace(killed, remote=f"file://{tmp_path}/remote/small")
    assert not copy_to_remote(folder, console, DriverLease())
    assert printed(console).startswith(f"not copied to {folder.remote}: ")
    assert printed(console).endswith(
        f"Everything is in {killed.path}; the same command with --resume copies it again.\n"
    )


def test_a_long_setting_of_a_baseline_is_broken_to_fit_the_console() -> None:
    baseline = {
        "name": "FDA",
        "setting": "task 1, feature 0.3, information 1, confusion 1, consistency 1",
        "epoch": 7,
        "updates": 2400,
        "test_accuracy": 0.9,
        "test_ci95": (0.8, 0.95),
    }
    console = Console(file=StringIO(), width=80, highlight=False)
    print_summary(make_summary(baselines=[baseline]), console)
    assert printed(console).splitlines()[2:-1] == [
        "  baseline  setting                          epoch  updates  accuracy, %",
        "  FDA       task 1, feature 0.3,             7      2,400    90.0 (80.0 to 95.0)",
        "            information 1, confusion 1,",
        "            consistency 1",
    ]
