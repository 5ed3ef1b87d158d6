from __future__ import annotations

from contextlib import ExitStack
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from support.fake_run import printed

from adaptune.errors import ResultsError
from adaptune.results.folder import ResultsFolder
from adaptune.results.lock import driver_lock
from adaptune.spec import load_spec
from adaptune.study.baseline_objectives import store_baseline_objectives
from adaptune.study.requests import Request
from adaptune.study.storage import open_study
from adaptune.workflows import watch as module
from adaptune.workflows.watch import watch


def make_console(*, is_terminal: bool) -> Console:
    return Console(
        file=StringIO(),
        width=80,
        height=24,
        force_terminal=is_terminal,
        highlight=False,
        _environ={"TERM": "xterm"},
    )


class RunningSearch:
    """A search whose driver adds a trial, and then ends, while another process waits."""

    def __init__(self, folder: ResultsFolder) -> None:
        self.lock = ExitStack()
        self.lock.enter_context(driver_lock(folder))
        self.study = open_study(load_spec(folder.spec), folder.journal)
        self.waits = 0

    def sleep(self, seconds: float) -> None:
        self.waits += 1
        if self.waits == 30:
            request = Request(action="add", trials=7)
            self.study.steering.carry_out("1", request, planned=3)
        if self.waits == 60:
            self.lock.close()


def test_a_terminal_shows_the_search_until_its_driver_ends(killed: ResultsFolder) -> None:
    search = RunningSearch(killed)
    console = make_console(is_terminal=True)
    before = killed.journal.read_bytes()
    watch(killed.path, console, clock=lambda: 0.1 * search.waits, sleep=search.sleep)
    output = printed(console)
    assert 60 <= search.waits <= 71  # it looks once per second
    assert output.index("2 of 3 trials") < output.index("2 of 10 trials")
    assert output.rindex("not running") > output.rindex("\x1b[?1049l")
    assert killed.journal.read_bytes().startswith(before)


def test_a_pipe_gets_a_line_per_change(killed: ResultsFolder) -> None:
    search = RunningSearch(killed)
    console = make_console(is_terminal=False)
    watch(killed.path, console, sleep=search.sleep)
    assert printed(console).splitlines() == [
        "small: 2 of 3 trials have ended; trial 2 epoch 1/2",
        "small: 2 of 10 trials have ended; trial 2 epoch 1/2",
        "small: 2 of 10 trials have ended; trial 2 epoch 1/2; not running",
    ]


def test_a_pipe_gets_the_gain_over_the_best_baseline(killed: ResultsFolder) -> None:
    study = open_study(load_spec(killed.spec), killed.journal)
    store_baseline_objectives(study, {"source_only": 0.5}, "f_S")
    console = make_console(is_terminal=False)
    watch(killed.path, console, sleep=lambda _: pytest.fail("it waits"))
    gain = "+25.0 points over source only (50.0%)"
    expected = f"small: 2 of 3 trials have ended; trial 2 epoch 1/2; {gain}; not running\n"
    assert printed(console).replace("\n", " ").strip() == expected.strip()


def test_a_search_that_does_not_run_is_shown_once(killed: ResultsFolder) -> None:
    console = make_console(is_terminal=True)
    watch(killed.path, console, sleep=lambda _: pytest.fail("it waits"))
    assert printed(console).startswith("\x1b[1msmall\x1b[0m")
    assert "last ended" in printed(console)


def test_without_locks_the_summary_tells_the_end(
    killed: ResultsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "is_in_use", lambda _: None)
    search = RunningSearch(killed)
    ends = []

    def sleep(seconds: float) -> None:
        killed.summary.write_text("{}")
        [trial] = search.study.interrupted_trials()
        search.study.tell_result(trial, epochs=2, error=None, wall_s=1)
        ends.append(seconds)

    watch(killed.path, make_console(is_terminal=False), sleep=sleep)
    search.lock.close()
    assert len(ends) == 1


def test_a_folder_without_trials_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="holds no search"):
        watch(tmp_path, make_console(is_terminal=True))
