from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text
from support.fake_run import printed

from adaptune.study.progress import SearchProgress
from adaptune.workflows.live_view import SearchView, bar, gauge, sparkline, view_lines
from adaptune.workflows.snapshot import Snapshot, TrialView

PATHS = tuple(f"loss_weights.{name}" for name in ("cycle", "identity", "semantic", "feature"))
SIZES = [(80, 24), (200, 50), (40, 10), (20, 5)]


def make_trial(number: int, state: str = "running", **fields: Any) -> TrialView:
    trial = TrialView(
        number=number,
        state=state,
        note="",
        epoch=3,
        curve=(0.2, 0.5, 0.912),
        best_epoch=3,
        best=0.912,
        values=dict.fromkeys(PATHS, 1.2345),
        positions=(0.0, 0.5, 1.0, None),
        active_s=60.0,
    )
    return replace(trial, **fields)


def make_snapshot(running: int = 2, ended: int = 3, **fields: Any) -> Snapshot:
    progress = SearchProgress("2 trial(s) at a time, each on 1 worker", 3, 1, 359, 0.0, 1600.0)
    last_ended = [make_trial(number, "stopped early") for number in range(ended)]
    snapshot = Snapshot(
        name="cycada",
        metric="target_val_accuracy",
        now=1000.0,
        epochs=20,
        total=16,
        ended=ended,
        device_s=1800.0,
        paths=PATHS,
        progress=progress,
        best=make_trial(7),
        interval=(0.88, 0.936),
        baseline=None,
        running=[make_trial(ended + index) for index in range(running)],
        last_ended=last_ended,
        is_active=True,
    )
    return replace(snapshot, **fields)


def text(snapshot: Snapshot, width: int = 200, height: int = 50) -> str:
    return "\n".join(line.plain for line in view_lines(snapshot, width, height))


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_view_fits_the_terminal(width: int, height: int) -> None:
    snapshot = make_snapshot(running=30, ended=40, name="a-search-with-a-rather-long-name")
    console = Console(file=StringIO(), width=width, height=height, force_terminal=True)
    console.print(SearchView(snapshot))
    lines = view_lines(snapshot, width, height - 1)
    assert len(lines) < height
    assert all(len(line) <= width for line in lines)
    printed_lines = Text.from_ansi(printed(console)).plain.splitlines()
    assert len(printed_lines) == len(lines)  # none was wrapped
    assert max(map(len, printed_lines)) <= width - 2  # the terminal prints ^C behind the last one


def test_the_head_has_progress_time_and_the_best_trial() -> None:
    lines = text(make_snapshot()).splitlines()
    assert lines[0].startswith("cycada  3 of 16 trials  ━")
    assert lines[0].endswith("  21%  about 10 min left")
    assert lines[1] == "17 min passed, 30 min of training; 3 nodes"
    assert lines[2] == "2 trial(s) at a time, each on 1 worker"
    assert lines[3] == "best so far: trial 7, epoch 3, target_val 91.2% (88.0 to 93.6, 95%)"
    assert lines[4].startswith("  cycle=1.23 identity=1.23")


@pytest.mark.parametrize(
    ("metric", "baseline", "gain"),
    [
        ("target_val_accuracy", ("information only", 0.789), "+12.3 points over information only"),
        ("target_val_macro_f1", ("source only", 0.95), "-3.8 points over source only (95.0%)"),
        ("infomax", ("no GAN", 0.5), "+0.4120 over no GAN (0.5000)"),
    ],
)
def test_the_best_trial_is_compared_with_the_best_baseline_so_far(
    metric: str, baseline: tuple[str, float], gain: str
) -> None:
    snapshot = make_snapshot(metric=metric, baseline=baseline)
    line = text(snapshot, 78).splitlines()[4]
    assert line.startswith(f"  {gain}")
    assert line.endswith(", the best baseline so far")  # whole at 80 columns
    assert "baseline" not in text(replace(snapshot, best=None))
    assert "baseline" not in text(make_snapshot())


def test_a_running_trial_has_its_epochs_curve_and_places_of_values() -> None:
    header, line = text(make_snapshot(running=1, ended=0)).splitlines()[6:8]
    assert header.split() == [
        "running",
        "epoch",
        "best",
        "curve",
        "cycle",
        "identity",
        "semantic",
        "feature",
    ]
    assert line.split() == [
        "trial",
        "0",
        "━───────",
        "3/20",
        "91.2%",
        "▁▄█",
        "●───────────",
        "──────●─────",
        "───────────●",
    ]
    assert header.index("identity") == line.index("──────●")


def test_a_note_takes_the_place_of_the_values() -> None:
    unhealthy = make_trial(4, note="unhealthy: label flip: 4 as 9")
    lines = text(make_snapshot(running=0), 80).splitlines()
    assert "running" not in lines
    assert "unhealthy: label flip: 4 as 9" in text(make_snapshot(running=0, last_ended=[unhealthy]))
    view = text(replace(make_snapshot(), running=[unhealthy]), 80)
    assert view.splitlines()[7].endswith("unhealthy: label flip: 4 as 9")


def test_the_last_ended_trials_have_their_reason() -> None:
    failed = make_trial(2, "failed", note="the cycle term is [nan]", best=None, curve=())
    lines = text(make_snapshot(last_ended=[failed, make_trial(1, "stopped early")])).splitlines()
    assert lines[-3] == "last ended"
    assert "failed" in lines[-2]
    assert "the cycle term is [nan]" in lines[-2]
    assert lines[-1].split()[:5] == ["trial", "1", "stopped", "early", "3/20"]


def test_the_time_left_may_be_unknown_or_meaningless() -> None:
    assert "left" not in text(make_snapshot(progress=None)).splitlines()[0]
    interrupted = text(make_snapshot(is_active=False)).splitlines()
    assert interrupted[0].endswith("not running")
    assert interrupted[6].startswith("to resume")
    assert text(make_snapshot(running=0, ended=16)).splitlines()[0].endswith("evaluating")


def test_a_search_without_trials_has_a_view() -> None:
    empty = make_snapshot(running=0, ended=0, best=None, interval=None, progress=None)
    assert text(empty).startswith("cycada  0 of 16 trials")


def test_curves_have_the_last_ten_epochs() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([0.5] * 20) == "▁" * 10
    assert sparkline([9.0, *range(10)]) == sparkline(range(10))
    assert sparkline([]) == ""
    assert sparkline([float("nan"), 0, 1]) == "▁█"


def test_bars_and_gauges_have_their_width() -> None:
    assert [bar(done, 4) for done in (0, 0.5, 1, 2)] == ["────", "━━──", "━━━━", "━━━━"]
    assert [gauge(place, 5) for place in (0.0, 0.5, 1.0)] == ["●────", "──●──", "────●"]
    assert gauge(None, 5) == "     "


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_footer_is_the_last_line_and_the_view_is_no_higher(width: int, height: int) -> None:
    console = Console(file=StringIO(), width=width, height=height)
    view = SearchView(make_snapshot(), "keys: s stop a trial, t try a setting, q leave")
    lines = ["".join(segment.text for segment in line) for line in console.render_lines(view)]
    assert len(lines) <= height - 1
    assert lines[-1].startswith("keys: s stop")
    assert lines[0].startswith("cycada")
