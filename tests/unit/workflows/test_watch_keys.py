from __future__ import annotations

import sys
import termios
from pathlib import Path

import pytest
from support.terminal import opened_terminal

from adaptune.results.folder import ResultsFolder
from adaptune.results.lock import driver_lock
from adaptune.study.requests import Request, pending_requests
from adaptune.workflows.watch_keys import PROMPTS, Keys, steer

ADAPTUNE = Path(sys.executable).with_name("adaptune")
LFLAG = 3  # index of the local modes, in which ECHO and ICANON are


def requests(folder: ResultsFolder) -> list[Request | None]:
    return [request for _, request in pending_requests(folder)]


@pytest.mark.parametrize(
    ("key", "answer", "request_"),
    [
        ("s", "2", Request(action="stop", trial=2)),
        ("a", " 3 ", Request(action="add", trials=3)),
        ("f", "y", Request(action="finish")),
    ],
)
def test_each_key_makes_its_request(
    killed: ResultsFolder, key: str, answer: str, request_: Request
) -> None:
    assert "once the search runs" in steer(killed.path, key, answer)
    assert requests(killed) == [request_]


@pytest.mark.parametrize(
    ("key", "answer", "message"),
    [
        ("s", "", "nothing requested"),
        ("s", "two", "two is no number"),
        ("s", "99", "trial 99 has not begun; running: 2"),
        ("t", "zzz=1", "zzz=1: must be PATH=VALUE"),
        ("a", "-1", "nothing requested"),
        ("f", "n", "nothing requested"),
    ],
)
def test_an_answer_that_makes_no_sense_requests_nothing(
    killed: ResultsFolder, key: str, answer: str, message: str
) -> None:
    assert steer(killed.path, key, answer).startswith(message)
    assert requests(killed) == []


def test_without_a_terminal_there_are_no_keys() -> None:
    with Keys() as keys, keys.released():
        assert keys.read() == ""


@pytest.mark.slow
def test_a_search_is_steered_by_keys_and_the_terminal_is_left_as_it_was(
    killed: ResultsFolder,
) -> None:
    command = [str(ADAPTUNE), "watch", str(killed.path)]
    with driver_lock(killed), opened_terminal(command) as terminal:
        before = terminal.modes()
        terminal.wait_for("keys: s stop a trial")
        assert not terminal.modes()[LFLAG] & (termios.ICANON | termios.ECHO)
        terminal.press("s")
        terminal.wait_for(PROMPTS["s"])
        assert terminal.modes() == before
        terminal.press("2\r")
        terminal.wait_for("trial 2 will stop (keys:")
        terminal.press("A")
        terminal.wait_for(PROMPTS["a"])
        terminal.press("5\r")
        terminal.wait_for("5 trial(s) to be added")
        terminal.press("q")
        terminal.process.wait(30)
        assert terminal.process.returncode == 0
        assert terminal.modes() == before
    assert requests(killed) == [Request(action="stop", trial=2), Request(action="add", trials=5)]
