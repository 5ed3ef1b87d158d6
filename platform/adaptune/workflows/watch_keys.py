"""Keys of a terminal that steer the search which is watched."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from adaptune.errors import AdaptuneError
from adaptune.workflows.steering import add_trials, finish_search, stop_trial, try_setting

HELP = "keys: s stop a trial, t try a setting, a add trials, f finish, q leave"
LEAVE = "q"
PROMPTS = {
    "s": "number of the trial to stop: ",
    "t": "setting to try, such as cycle=3 semantic=0.2: ",
    "a": "number of trials to add: ",
    "f": "start no more trials? y or n: ",
}


_Modes = list[int | list[bytes | int]]  # what termios returns


class Keys:
    """Single keys of the terminal, without Enter and without an echo.

    Ctrl-C and Ctrl-Z stay signals. If the standard input is no terminal, or the process is in
    the background, there are no keys.
    """

    def __init__(self) -> None:
        self._descriptor = _standard_input()
        self._modes: _Modes | None = None  # of the terminal, as they were before

    def __enter__(self) -> Self:
        self._take()
        return self

    def __exit__(self, *_: object) -> None:
        self._release()

    def read(self) -> str:
        """Return the key that was pressed, in lower case; an empty text without any."""
        if self._modes is None:
            self._take()  # it may have come to the foreground
            return ""
        if not self._is_in_foreground() or not select.select([self._descriptor], [], [], 0)[0]:
            return ""
        return os.read(self._descriptor, 1).decode(errors="replace").lower()

    @contextmanager
    def released(self) -> Iterator[None]:
        """Give the terminal its own modes meanwhile."""
        self._release()
        try:
            yield
        finally:
            self._take()

    def _take(self) -> None:
        with suppress(OSError, termios.error):
            if self._is_in_foreground():
                modes = termios.tcgetattr(self._descriptor)
                tty.setcbreak(self._descriptor)
                self._modes = modes

    def _release(self) -> None:
        modes, self._modes = self._modes, None
        if modes is not None:
            with suppress(OSError, termios.error):
                termios.tcsetattr(self._descriptor, termios.TCSADRAIN, modes)

    def _is_in_foreground(self) -> bool:
        """Return whether this process may use the terminal; in the background, it would stop."""
        try:
            return os.tcgetpgrp(self._descriptor) == os.getpgrp()
        except OSError:
            return False


def _standard_input() -> int:
    """Return the file descriptor of the standard input, which may be closed or replaced."""
    try:
        return sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):
        return -1


def steer(path: Path, key: str, answer: str) -> str:
    """Carry out the request of a key; return a line for the user.

    Args:
        path: results folder.
        answer: answer to the key's prompt; an empty one does nothing.
    """
    act = _ACTIONS[key]
    if not answer.strip():
        return "nothing requested"
    try:
        return act(path, answer)
    except ValueError:
        return f"{answer.strip()} is no number"
    except AdaptuneError as error:
        return " ".join(str(error).split())


def _stop(path: Path, answer: str) -> str:
    return stop_trial(path, int(answer))


def _try(path: Path, answer: str) -> str:
    return try_setting(path, answer.split())


def _add(path: Path, answer: str) -> str:
    count = int(answer)
    return add_trials(path, count) if count > 0 else "nothing requested"


def _finish(path: Path, answer: str) -> str:
    if answer.strip().lower() not in ("y", "yes"):
        return "nothing requested"
    return finish_search(path)


_ACTIONS: dict[str, Callable[[Path, str], str]] = {
    "s": _stop,
    "t": _try,
    "a": _add,
    "f": _finish,
}
