"""INT, TERM and HUP stop a search in each of its phases, and `--resume` finishes it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.local_search import TRIALS, LocalSearch
from support.ray_nodes import folder_for_ray
from support.real_ray import trials_of

from adaptune.artifacts.load import load_export

pytestmark = [pytest.mark.ray, pytest.mark.slow]

INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
SLOW_TRIALS = {"training__steps_per_epoch": 20}
SLOW_SOURCE = {"training__source__steps": 1000}
SLOW_BASELINES = {
    "evaluation__baselines": "true",
    "training__epochs": 1,
    "training__steps_per_epoch": 100,
}
Reached = Callable[[LocalSearch], object]
CHAOS = pytest.mark.chaos  # a minute each


@pytest.fixture
def folder() -> Iterator[Path]:
    with folder_for_ray("s.") as folder:
        yield folder


def is_connecting(search: LocalSearch) -> bool:
    """Return whether Ray is being started."""
    return any(search.temporary.glob("*/r/session_*"))


def has_ended_trials(search: LocalSearch) -> bool:
    """Return whether both trials have ended, so that the baselines are being trained."""
    if not search.has_epoch():
        return False
    finished = [trial for trial in trials_of(search.results) if trial.state.is_finished()]
    return len(finished) == TRIALS


def is_exporting(search: LocalSearch) -> bool:
    """Return whether the summary exists, after which the export is written."""
    return (search.results / "summary.json").exists()


def run_until_stopped(
    search: LocalSearch, number: signal.Signals, reached: Reached, *, group: bool = False
) -> str:
    """Start a search and send a signal in a phase; return what it prints to standard error."""
    search.start()
    try:
        search.wait_for(lambda: reached(search), "the phase")
        send = os.killpg if group else os.kill
        send(search.driver.pid, number)
        status, _, err = search.end()
        assert status == 128 + number, err
        assert "Traceback" not in err
        search.leaves_nothing()
    finally:
        search.kill()
    return err


@pytest.mark.parametrize(
    ("number", "reached", "settings", "group"),
    [
        pytest.param(TERM, is_connecting, {}, False, id="connecting", marks=CHAOS),
        pytest.param(HUP, LocalSearch.has_splits, SLOW_SOURCE, True, id="source", marks=CHAOS),
        pytest.param(INT, LocalSearch.has_epoch, SLOW_TRIALS, True, id="trials-int", marks=CHAOS),
        pytest.param(TERM, LocalSearch.has_epoch, SLOW_TRIALS, True, id="trials-term"),
        pytest.param(HUP, has_ended_trials, SLOW_BASELINES, False, id="baselines", marks=CHAOS),
        pytest.param(INT, is_exporting, {}, False, id="export", marks=CHAOS),
    ],
)
def test_a_signal_keeps_everything_and_a_resume_finishes(
    folder: Path,
    number: signal.Signals,
    reached: Reached,
    settings: dict[str, object],
    group: bool,
) -> None:
    search = LocalSearch(folder, **settings)
    err = run_until_stopped(search, number, reached, group=group)
    message = f"everything is kept in {search.results}. The same command with --resume continues."
    assert message in err
    search.start("--resume")
    try:
        status, _, err = search.end()
        assert (status, err) == (0, "")
        load_export(search.results / "best")
        search.leaves_nothing()
    finally:
        search.kill()


def test_a_signal_before_anything_is_written_leaves_nothing(folder: Path) -> None:
    search = LocalSearch(folder)

    def is_loading(search: LocalSearch) -> bool:
        return "torch" in Path(f"/proc/{search.driver.pid}/maps").read_text()

    err = run_until_stopped(search, INT, is_loading)
    assert err == (
        "\nadaptune: stopped before training began; nothing was written: run the command again\n"
    )
    assert not search.results.exists()


@CHAOS
def test_under_nohup_the_end_of_the_terminal_stops_nothing(folder: Path) -> None:
    search = LocalSearch(folder)
    search.start(ignored=HUP)
    try:
        search.wait_for(search.has_epoch, "the first epoch")
        os.killpg(search.driver.pid, HUP)
        status, _, err = search.end()
        assert (status, err) == (0, "")
        search.leaves_nothing()
    finally:
        search.kill()


def test_a_search_outlives_its_terminal(folder: Path) -> None:
    search = LocalSearch(folder)
    search.start()
    try:
        search.wait_for(search.has_connected, "the connection")
        assert search.driver.stdout is not None
        search.driver.stdout.close()
        assert search.driver.wait() == 0
        assert "takes no output (Broken pipe)" in (search.results / "ray.log").read_text()
        search.leaves_nothing()
    finally:
        search.kill()
