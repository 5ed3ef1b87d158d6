"""The place of the live view on a terminal."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from math import ceil
from types import FrameType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live

from adaptune.signals import is_main_thread


def can_show_live(console: Console) -> bool:
    """Return whether a console is a terminal on which lines can be replaced."""
    return console.is_terminal and not console.is_dumb_terminal


class LiveScreen:
    """Shows a view that is replaced again and again; other output appears above it.

    When the process is suspended by Ctrl-Z, the view stays where it is, and another one begins
    below what the shell has printed since.

    Args:
        console: the terminal.
        alternate: whether the view has the terminal for itself; afterwards, the terminal is as
            before.
        released: context in which others have the terminal.
    """

    def __init__(
        self,
        console: Console,
        *,
        alternate: bool = False,
        released: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._console = console
        self._alternate = alternate
        self._released = released
        self._live: Live | None = None
        self._width = console.width
        self._view: RenderableType = ""
        self._is_suspended = False
        self._previous: object = None

    def __enter__(self) -> Self:
        if is_main_thread() and signal.getsignal(signal.SIGTSTP) == signal.SIG_DFL:
            self._previous = signal.signal(signal.SIGTSTP, self._note_suspension)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        if self._previous is not None:
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            self._previous = None

    def show(self, view: RenderableType) -> None:
        """Replace the view."""
        self.suspend_if_asked()
        width = self._console.width
        if self._live is not None and width < self._width and not self._alternate:
            self._console.file.write(self._up_broken_lines(width))
        self._width = width
        if self._live is None:
            self._live = Live(
                console=self._console,
                screen=self._alternate,
                auto_refresh=False,
                redirect_stdout=False,
                redirect_stderr=False,
                vertical_overflow="crop",
            )
            self._live.start()
        self._live.update(view, refresh=True)
        self._view = view

    def _up_broken_lines(self, width: int) -> str:
        """Return what moves the cursor to where the view would end if no line were broken.

        A terminal that becomes narrower breaks the lines that it has no longer room for.
        """
        options = self._console.options.update_width(self._width)
        added = 0
        for line in self._console.render_lines(self._view, options, pad=False):
            length = sum(segment.cell_length for segment in line)
            added += max(ceil(length / width) - 1, 0)
        return f"\x1b[{added}A\x1b[J" if added else ""

    def suspend_if_asked(self) -> None:
        """Suspend the process if Ctrl-Z was pressed; return when it continues."""
        if not self._is_suspended:
            return
        self._is_suspended = False
        with self.hidden():
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._note_suspension)

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Leave the terminal to others; the next view is drawn as a new one."""
        self._stop()
        with self._released():
            yield

    def _note_suspension(self, number: int, frame: FrameType | None) -> None:
        # Not here: the view may be half written.
        self._is_suspended = True

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
