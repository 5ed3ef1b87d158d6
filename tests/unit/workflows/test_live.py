from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO

import pytest
from rich.console import Console
from support.fake_run import printed

from adaptune.workflows.live import LiveScreen, can_show_live

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
CURSOR_UP = "\x1b[1A"
ENTER_ALTERNATE, LEAVE_ALTERNATE = "\x1b[?1049h", "\x1b[?1049l"


@pytest.fixture
def console() -> Console:
    environment = {"TERM": "xterm-256color"}
    return Console(file=StringIO(), force_terminal=True, width=80, height=24, _environ=environment)


@pytest.fixture(autouse=True)
def suspensions(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The signals that a process sends to itself."""
    sent: list[int] = []
    before = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    monkeypatch.setattr(os, "kill", lambda _, number: sent.append(number))
    yield sent
    signal.signal(signal.SIGTSTP, before)


def test_a_view_replaces_the_one_before(console: Console) -> None:
    with LiveScreen(console) as screen:
        screen.show("first\nview")
        screen.show("second\nview")
        console.print("a line above")
    output = printed(console)
    assert output.count("first") == 1
    assert output.index("first") < output.index(CURSOR_UP) < output.index("second")
    assert output.index("second") < output.index("a line above") < output.rindex("second")


def test_the_cursor_is_back_at_the_end_and_after_an_error(console: Console) -> None:
    def fail() -> None:
        with LiveScreen(console) as screen:
            screen.show("view")
            raise ValueError("an error")

    with pytest.raises(ValueError, match="an error"):
        fail()
    output = printed(console)
    assert output.count(HIDE_CURSOR) == 1
    assert output.rindex(SHOW_CURSOR) > output.rindex("view")


def test_the_alternate_screen_is_left(console: Console) -> None:
    with LiveScreen(console, alternate=True) as screen:
        screen.show("view")
    output = printed(console)
    assert output.index(ENTER_ALTERNATE) < output.index("view") < output.index(LEAVE_ALTERNATE)
    assert output.rindex(SHOW_CURSOR) > output.rindex(HIDE_CURSOR)


def test_lines_that_a_narrower_terminal_has_broken_are_replaced(console: Console) -> None:
    with LiveScreen(console) as screen:
        screen.show(f"{'a' * 70}\n{'b' * 20}\n{'c' * 80}")
        console.width = 30
        screen.show("view")
    output = printed(console)
    assert output.count("\x1b[4A\x1b[J") == 1  # 3 lines for the first one, and 3 for the last one
    assert output.index("\x1b[4A\x1b[J") < output.index("view")


def test_a_wider_terminal_needs_nothing_more(console: Console) -> None:
    with LiveScreen(console) as screen:
        screen.show("a" * 70)
        console.width = 200
        screen.show("view")
    assert "\x1b[J" not in printed(console)


def test_a_suspended_process_leaves_the_terminal_whole(
    console: Console, suspensions: list[int]
) -> None:
    with LiveScreen(console) as screen:
        screen.show("before\nview")
        signal.raise_signal(signal.SIGTSTP)
        assert suspensions == []  # the view may have been half written
        screen.show("after\nview")
        assert suspensions == [signal.SIGTSTP]
        screen.show("last\nview")
    output = printed(console)
    assert SHOW_CURSOR in output[output.index("before") : output.index("after")]
    shown_again = output[output.rindex("before") : output.index("after")]
    assert CURSOR_UP not in shown_again  # what the shell has printed stays
    assert signal.getsignal(signal.SIGTSTP) == signal.SIG_DFL


def test_a_signal_handler_of_another_is_left_alone(console: Console) -> None:
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    with LiveScreen(console):
        assert signal.getsignal(signal.SIGTSTP) == signal.SIG_IGN
    assert signal.getsignal(signal.SIGTSTP) == signal.SIG_IGN


def test_only_a_terminal_can_show_a_view(console: Console) -> None:
    assert can_show_live(console)
    assert not can_show_live(Console(file=StringIO()))
    dumb = Console(file=StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    assert not can_show_live(dumb)


def test_nothing_is_written_without_a_view(console: Console) -> None:
    with LiveScreen(console):
        pass
    assert printed(console) == ""


def test_others_have_the_terminal_while_the_process_is_suspended(
    console: Console, suspensions: list[int]
) -> None:
    given: list[int] = []

    @contextmanager
    def released() -> Iterator[None]:
        given.append(len(suspensions))
        yield
        given.append(len(suspensions))

    with LiveScreen(console, released=released) as screen:
        screen.show("view")
        signal.raise_signal(signal.SIGTSTP)
        screen.suspend_if_asked()
    assert given == [0, 1]
    assert suspensions == [signal.SIGTSTP]
