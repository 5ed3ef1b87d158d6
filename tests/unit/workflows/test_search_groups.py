"""Searches that measure how many of their trials share a GAN."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from support.fake_calibration import group_worker, replace_calibration
from support.fake_run import PLAN, SimulatedTrials, make_tiny_search, printed

from adaptune.errors import InterruptedSearchError
from adaptune.report.page import write_report
from adaptune.search.driver import SearchRun
from adaptune.spec import load_spec
from adaptune.spec.schema import SearchSpec
from adaptune.study.group_size import stored_group_size
from adaptune.study.storage import read_study
from adaptune.workflows import search
from adaptune.workflows.results_view import search_report
from adaptune.workflows.search import run

REASON = "an epoch takes 10.60 s, and each further trial adds 3.00 s"


@pytest.fixture
def spec(tmp_path: Path) -> SearchSpec:
    return make_tiny_search(
        search={"trials": 8, "classifiers_per_gan": "auto"},
        training={"epochs": 2, "steps_per_epoch": 100, "batch_size": 4},
        loss_weights={"feature": {"search": "uniform", "low": 0, "high": 1}},
        storage={"out": str(tmp_path)},
        evaluation={"baselines": False},
    )


@pytest.fixture
def console() -> Console:
    return Console(file=StringIO(), width=500, highlight=False, emoji=False)


@pytest.mark.parametrize(
    ("classifiers_per_gan", "placement"),
    [
        (3, "1 group(s) at a time, each of up to 3 trials that share a GAN, on "),
        ("auto", "1 trial(s), or groups of trials that share a GAN, at a time, each on "),
    ],
)
def test_a_search_says_at_its_start_that_trials_share_a_gan(
    classifiers_per_gan: object,
    placement: str,
    spec: SearchSpec,
    trials: SimulatedTrials,
    console: Console,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replace_calibration(monkeypatch, group_worker)
    update = {"classifiers_per_gan": classifiers_per_gan}
    options = spec.search.model_copy(update=update)
    run(spec.model_copy(update={"search": options}), console=console)
    assert printed(console).startswith(f"adaptune: fake, {placement}")


def test_a_resumed_search_has_the_number_that_it_began_with(
    spec: SearchSpec,
    trials: SimulatedTrials,
    console: Console,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs: list[SearchRun] = []

    def interrupt(search_run: SearchRun) -> None:
        runs.append(search_run)
        raise KeyboardInterrupt

    replace_calibration(monkeypatch, group_worker)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "run_trials", interrupt)
        with pytest.raises(InterruptedSearchError):
            run(spec, console=console)
    [interrupted] = runs
    size = stored_group_size(interrupted.study)
    assert size is not None
    assert (size.trials, size.reason) == (4, REASON)
    assert interrupted.spec.search.classifiers_per_gan == 4
    assert interrupted.plan.trial_limit == min(PLAN.trial_limit, 2)
    assert interrupted.study.started == 0
    assert load_spec(interrupted.folder.spec).search.classifiers_per_gan == "auto"

    # The device is another one now.
    replace_calibration(monkeypatch, lambda trials: group_worker(trials, added_s=0.06))
    result = run(spec, resume=True, console=console)
    assert result.summary.classifiers_per_gan == 4
    assert printed(console).count(f"groups of 4 trials share a GAN: {REASON}\n") == 2


def test_the_report_has_the_number_and_the_reason(
    spec: SearchSpec,
    trials: SimulatedTrials,
    console: Console,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replace_calibration(monkeypatch, group_worker)
    result = run(spec, console=console)
    contents = search_report(result.folder)
    report = contents.folder.report.read_text()
    assert f"<p>Groups of 4 trials share a GAN: {REASON}.</p>" in report
    assert contents.group_size is not None
    assert contents.group_size.reason == REASON
    # It is the same page when it is written from the results folder.
    study = read_study(contents.spec, contents.folder.journal)
    assert write_report(contents.folder, contents.spec, study).read_text() == report
