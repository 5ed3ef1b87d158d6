from __future__ import annotations

import re
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from support.fake_run import make_run, make_splits, printed
from support.fake_search import make_record, make_search, simulate, smooth

from adaptune.search.driver import SearchRun
from adaptune.study.progress import stored_progress
from adaptune.study.requests import Request
from adaptune.study.storage import open_study
from adaptune.workflows import monitor
from adaptune.workflows.live import LiveScreen
from adaptune.workflows.monitor import ESTIMATE_INTERVAL_S, MonitorCallback, seconds_left


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SearchRun:
    monkeypatch.setattr(monitor, "node_resources", lambda _: [{"CPU": 2.0}] * 3)
    spec = make_search(
        search={"trials": 4, "scheduler": "none"},
        training={"epochs": 3},
        storage={"out": str(tmp_path)},
    )
    study = open_study(spec, tmp_path / "study.journal")
    run = make_run(tmp_path, spec, study, make_splits())
    console = Console(file=StringIO(), width=200, force_terminal=True, highlight=False)
    return replace(run, console=console)


def train(run: SearchRun, callback: MonitorCallback, **options: int) -> None:
    simulate(run.spec, None, smooth, study=run.study, callbacks=[callback], **options)


def test_a_line_tells_how_many_trials_have_ended(
    run: SearchRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "seconds_left", lambda _: 600.0)
    callback = MonitorCallback(run, None, clock=lambda: 0.0)
    callback.on_epoch(None, make_record(1, 0.5))  # type: ignore[arg-type]
    train(run, callback)
    lines = printed(run.console).splitlines()
    counts = [line.strip().partition(",")[0] for line in lines]
    assert counts == [f"{count} of 4 trials have ended" for count in (1, 2, 3, 4)]
    assert lines[0].endswith("ended, about 10 min left")
    assert "left" not in lines[-1]


def test_trials_that_end_together_have_one_line(run: SearchRun) -> None:
    callback = MonitorCallback(run, None, clock=lambda: 0.0)
    train(run, callback)
    lines = printed(run.console)
    callback.on_trial_end(None)  # type: ignore[arg-type]
    assert printed(run.console) == lines


def test_the_view_is_shown_once_per_second(run: SearchRun) -> None:
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 0.1
        return now

    with LiveScreen(run.console) as screen:
        callback = MonitorCallback(run, screen, clock)
        train(run, callback)
        callback.show()
    output = printed(run.console)
    counts = re.findall(r"(\d) of 4 trials", output)
    assert counts == sorted(counts)
    assert counts[-1] == "4"
    views = output.count("of 4 trials")
    assert 1 < views < 12 + 4  # of 12 epochs
    assert "have ended" not in output


def test_the_driver_stores_what_those_who_watch_need(run: SearchRun) -> None:
    MonitorCallback(run, None, clock=lambda: 0.0)
    progress = stored_progress(run.study)
    assert progress is not None
    assert (progress.plan, progress.nodes) == (run.plan.describe(), 3)
    assert (progress.workers, progress.end) == (run.plan.resources.workers, None)


def test_the_end_is_estimated_from_time_to_time(
    run: SearchRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    monkeypatch.setattr(monitor, "seconds_left", lambda _: calls.append(1) or 60.0)
    now = [0.0]
    callback = MonitorCallback(run, None, clock=lambda: now[0])
    for now[0], expected in ((0.0, 1), (1.0, 1), (ESTIMATE_INTERVAL_S, 2)):
        callback.on_epoch(None, make_record(1, 0.5))  # type: ignore[arg-type]
        assert len(calls) == expected
    progress = stored_progress(run.study)
    assert progress is not None
    assert progress.end is not None
    assert progress.end > progress.start + 59


def test_the_time_left_falls_and_grows_with_requested_trials(run: SearchRun) -> None:
    train(run, MonitorCallback(run, None, clock=lambda: 0.0), stop_after=1)
    begun = seconds_left(run)
    run.study.steering.carry_out("1", Request(action="add", trials=4), planned=4)
    with_more = seconds_left(run)
    assert with_more > 1.5 * begun
    train(run, MonitorCallback(run, None, clock=lambda: 0.0))
    assert seconds_left(run) < begun / 2
