"""Standard output and error: what Ray prints goes to a log, progress goes to the terminal."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from rich.console import Console


@contextmanager
def redirect_output(log: Path) -> Iterator[Console]:
    """Append everything that this process prints to `log`, except for the yielded console.

    The console drops what the terminal does not take: a search outlives its terminal.
    """
    flush_or_drop()
    terminal = os.dup(1)
    errors = os.dup(2)
    with log.open("a", encoding="utf-8") as file, _screen() as console:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield console
        finally:
            flush_or_drop()
            os.dup2(terminal, 1)
            os.dup2(errors, 2)
            os.close(terminal)
            os.close(errors)


def flush_or_drop() -> OSError | None:
    """Empty Python's buffers of standard output and error; return the error of standard output.

    A full disk must not send the buffers to the terminal later, and a closed pipe must not change
    the exit status.
    """
    error_of_stdout = None
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError as error:
            if stream is sys.stdout:
                error_of_stdout = error
            _drop_buffer(stream)
    return error_of_stdout


def open_missing_streams() -> None:
    """Open the null device for a standard stream that was closed when the program started.

    Otherwise another file would get its number, and receive what is printed.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)


class _Terminal(io.TextIOBase):
    """A text file that drops what cannot be written, and notes the first error in the log."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._has_failed = False

    def write(self, text: str) -> int:
        body = memoryview(text.encode("utf-8", errors="backslashreplace"))
        try:
            while body:
                body = body[os.write(self._descriptor, body) :]
        except OSError as error:
            self._note(error)
        return len(text)

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def _note(self, error: OSError) -> None:
        if self._has_failed:
            return
        self._has_failed = True
        message = f"adaptune: the terminal takes no output ({error.strerror}); it is dropped\n"
        with suppress(OSError):
            os.write(2, message.encode())


@contextmanager
def _screen() -> Iterator[Console]:
    """Yield a console on what standard output is now."""
    if not _stdout_is_a_file_descriptor():  # a notebook's, for example
        yield _plain_console(sys.stdout)
        return
    descriptor = os.dup(1)
    try:
        terminal = _Terminal(descriptor)
        yield _plain_console(terminal, force_terminal=terminal.isatty())
    finally:
        os.close(descriptor)


def _plain_console(file: TextIO | io.TextIOBase, *, force_terminal: bool | None = None) -> Console:
    # Error texts and paths may contain brackets, which must not be taken for markup.
    return Console(
        file=file,  # type: ignore[arg-type]  # rich uses write, flush and isatty only
        force_terminal=force_terminal,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
    )


def _stdout_is_a_file_descriptor() -> bool:
    try:
        return os.path.sameopenfile(sys.stdout.fileno(), 1)
    except (OSError, ValueError, AttributeError):
        return False


def _drop_buffer(stream: TextIO) -> None:
    descriptor = stream.fileno()
    target = os.dup(descriptor)
    try:
        with open(os.devnull, "w") as devnull:
            os.dup2(devnull.fileno(), descriptor)
        stream.flush()
    finally:
        os.dup2(target, descriptor)
        os.close(target)
