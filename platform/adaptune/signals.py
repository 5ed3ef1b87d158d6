"""Signals that stop a command: INT, TERM and HUP all stop it as Ctrl-C does.

The first signal raises `StopRequest`. Other code may drop that exception or replace it by an error
of its own, for example because the processes of the group have received the signal as well.
`stop_number` therefore traces every error after a stop signal back to it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# `timeout`, shells and schedulers send one request twice: to a process and to its group.
REPEAT_S = 1.0
REDELIVERY_DELAY_S = 0.05
# Python handles a signal once the main thread runs Python code again. Ray's code does not return
# while it waits for a dead GCS, and after 60 s it ends the process with status 1.
HANDLING_TIMEOUT_S = 20.0
STOPPED = "stopped"


class StopRequest(KeyboardInterrupt):
    """A signal asked this process to stop.

    Args:
        signal_number: number of the signal.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number


class _StopHandler:
    """The handler of the stop signals: the first one raises, a later one ends the process."""

    def __init__(self) -> None:
        self.deferrals = 0
        self.message = STOPPED
        self.number: int | None = None
        self._is_called = threading.Event()
        self._requested_at: float | None = None
        self._pending: int | None = None
        self._errors: int | None = None
        with suppress(OSError):  # later, standard error may be a log
            self._errors = os.dup(2)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._requested_at is None:
            self._requested_at = now
            self.number = number
            self._pending = number
            self._is_called.set()
            self.raise_pending()
        elif now - self._requested_at > REPEAT_S:
            self.end_process(number)

    def watch(self, arrivals: int) -> None:
        """End the process if a signal has arrived and Python does not call this handler in time.

        Args:
            arrivals: descriptor from which the numbers of signals are read, one byte each.
        """
        while numbers := os.read(arrivals, 1):
            is_stop = numbers[0] in STOP_SIGNALS
            if is_stop and not self._is_called.wait(HANDLING_TIMEOUT_S):
                self.end_process(numbers[0])
        os.close(arrivals)

    def end_process(self, number: int) -> None:
        """End the process at once with the message and the status of a stop."""
        if self._errors is not None:
            with suppress(OSError):
                os.write(self._errors, f"\nadaptune: {self.message}\n".encode())
        os._exit(128 + number)  # Ray's processes end with their parent

    def close(self) -> None:
        """End the watch, and close the copy of standard error."""
        self._is_called.set()
        if self._errors is not None:
            os.close(self._errors)
            self._errors = None

    def raise_pending(self) -> None:
        """Raise the request to stop, unless there is none or it is deferred."""
        if self._pending is not None and not self.deferrals:
            number = self._pending
            self._pending = None
            raise StopRequest(number)

    def repeat(self, number: int) -> None:
        """Raise a request again, a moment later, that Python has dropped."""
        self._requested_at = None
        arguments = (threading.main_thread().ident, number)
        timer = threading.Timer(REDELIVERY_DELAY_S, signal.pthread_kill, arguments)
        timer.daemon = True
        timer.start()


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Raise `StopRequest` at the first stop signal; end the process at a second one.

    A signal also ends the process if the main thread does not handle it for `HANDLING_TIMEOUT_S`.
    A signal that is ignored stays ignored, as `nohup` wants. At the end, the handlers are what they
    were. In a thread other than the main one, which cannot handle signals, this does nothing.
    """
    if not is_main_thread() or _installed_handler() is not None:
        yield
        return
    handler = _StopHandler()
    previous = {}
    for number in STOP_SIGNALS:
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            previous[number] = signal.signal(number, handler)
    report_unraisable = sys.unraisablehook

    def repeat_dropped_stop(unraisable: sys.UnraisableHookArgs) -> None:
        # Python drops an exception that is raised in a finalizer.
        error = unraisable.exc_value
        if isinstance(error, KeyboardInterrupt) and handler.number is not None:
            handler.repeat(handler.number)
        else:
            report_unraisable(unraisable)

    sys.unraisablehook = repeat_dropped_stop
    try:
        with _watched(handler):
            yield
    finally:
        sys.unraisablehook = report_unraisable
        for number, previous_handler in previous.items():
            signal.signal(number, previous_handler)
        handler.close()


@contextmanager
def _watched(handler: _StopHandler) -> Iterator[None]:
    """Let a thread watch for signals that the handler is not called for."""
    arrivals, announcements = os.pipe()
    os.set_blocking(announcements, False)
    previous = signal.set_wakeup_fd(announcements, warn_on_full_buffer=False)
    if previous != -1:  # an event loop has its own
        signal.set_wakeup_fd(previous)
    thread = threading.Thread(target=handler.watch, args=(arrivals,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        if previous == -1:
            signal.set_wakeup_fd(-1)
        os.close(announcements)  # ends the thread


def _unwatch_in_child() -> None:
    """Keep the signals of a forked process from the thread of its parent."""
    if _installed_handler() is not None:
        signal.set_wakeup_fd(-1)


os.register_at_fork(after_in_child=_unwatch_in_child)


@contextmanager
def stop_deferred() -> Iterator[None]:
    """Raise a stop signal that arrives meanwhile at the end; a second one ends the process."""
    handler = _installed_handler()
    if handler is None or not is_main_thread():
        yield
        return
    handler.deferrals += 1
    try:
        yield
    finally:
        handler.deferrals -= 1
        handler.raise_pending()


@contextmanager
def stop_within(timeout_s: float) -> Iterator[None]:
    """End the process if a stop signal has arrived and this block does not end in time.

    Args:
        timeout_s: seconds from the start of the block.
    """
    handler = _installed_handler()
    if handler is None:
        yield
        return

    def end_if_stopped() -> None:
        if handler.number is not None:
            handler.end_process(handler.number)

    timer = threading.Timer(timeout_s, end_if_stopped)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def stop_number(error: BaseException | None = None) -> int | None:
    """Return the number of the signal that an error goes back to, or None if there is none.

    Args:
        error: an error that ends the command. After a stop signal, any error goes back to it: Ray
            raises errors of its own if its processes received the signal as well.
    """
    if isinstance(error, StopRequest):
        return error.signal_number
    handler = _installed_handler()
    if handler is not None and handler.number is not None:
        return handler.number
    if isinstance(error, KeyboardInterrupt):
        return signal.SIGINT
    return None


def raise_if_stopped() -> None:
    """Raise the request to stop again if other code has dropped it.

    Raises:
        StopRequest: a stop signal has arrived.
    """
    number = stop_number()
    if number is not None:
        raise StopRequest(number)


def set_stop_message(message: str) -> None:
    """Set the message about a stop from now on, which tells the user how to continue."""
    handler = _installed_handler()
    if handler is not None:
        handler.message = message


def stop_message() -> str:
    """Return the message about a stop at this moment."""
    handler = _installed_handler()
    return STOPPED if handler is None else handler.message


def is_main_thread() -> bool:
    """Return whether this is the main thread, the only one that can handle signals."""
    return threading.current_thread() is threading.main_thread()


def _installed_handler() -> _StopHandler | None:
    for number in STOP_SIGNALS:
        handler = signal.getsignal(number)
        if isinstance(handler, _StopHandler):
            return handler
    return None
