"""A process on a terminal of its own, on which a test presses keys."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

TIMEOUT_S = 60.0


class Terminal:
    """A terminal of 24 lines of 100 columns, and the process in its foreground."""

    def __init__(self, command: Sequence[str]) -> None:
        self._master, self._slave = pty.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        self.output = ""
        self.process = subprocess.Popen(
            command,
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env=os.environ | {"TERM": "xterm-256color"},
            start_new_session=True,
            preexec_fn=_control_terminal,  # noqa: PLW1509  # no thread of a test holds a lock
        )

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def wait_for(self, text: str) -> None:
        """Wait until a text appears after all that was waited for before."""
        deadline = time.monotonic() + TIMEOUT_S
        while text not in self.output:
            assert time.monotonic() < deadline, f"no {text!r} in {self.output!r}"
            if select.select([self._master], [], [], 0.1)[0]:
                self.output += os.read(self._master, 65536).decode(errors="replace")
        self.output = self.output.partition(text)[2]

    def modes(self) -> list[Any]:
        """Return whether lines are edited and echoed, and the other modes."""
        return termios.tcgetattr(self._slave)

    def close(self) -> None:
        """End the process, if it runs, and close the terminal."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)
        os.close(self._slave)


@contextmanager
def opened_terminal(command: Sequence[str]) -> Iterator[Terminal]:
    """Run a command on a terminal of its own."""
    terminal = Terminal(command)
    try:
        yield terminal
    finally:
        terminal.close()


def _control_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
