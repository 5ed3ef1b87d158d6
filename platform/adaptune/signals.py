"""Signals that stop a command: INT, TERM and HUP all stop it as Ctrl-C does."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# `timeout`, shells and schedulers send one request twice: to a process and to its group.
REPEAT_S = 1.0
REDELIVERY_DELAY_S = 0.05


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
        self.number: int | None = None
        self._requested_at: float | None = None
        self._pending: int | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._requested_at is None:
            self._requested_at = now
            self.number = number
            self._pending = number
            self.raise_pending()
        elif now - self._requested_at > REPEAT_S:
            os._exit(128 + number)  # Ray's processes end with their parent

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

    A signal that is ignored stays ignored, as `nohup` wants. At the end, the handlers are what they
    were. In a thread other than the main one, which cannot handle signals, this does nothing.
    """
    if not _is_main_thread() or _installed_handler() is not None:
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
        if isinstance(unraisable.exc_value, StopRequest):
            handler.repeat(unraisable.exc_value.signal_number)
        else:
            report_unraisable(unraisable)

    sys.unraisablehook = repeat_dropped_stop
    try:
        yield
    finally:
        sys.unraisablehook = report_unraisable
        for number, previous_handler in previous.items():
            signal.signal(number, previous_handler)


@contextmanager
def stop_deferred() -> Iterator[None]:
    """Raise a stop signal that arrives meanwhile at the end; a second one ends the process."""
    handler = _installed_handler()
    if handler is None or not _is_main_thread():
        yield
        return
    handler.deferrals += 1
    try:
        yield
    finally:
        handler.deferrals -= 1
        handler.raise_pending()


@contextmanager
def handlers_restored() -> Iterator[None]:
    """Restore the handlers of the stop signals at the end of a call that replaces them.

    `ray.init` does: its own handler of SIGTERM exits with status 15. A SIGTERM that it received is
    handled again here.
    """
    if not _is_main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    is_terminated = False
    try:
        yield
    except SystemExit as error:
        if error.code != signal.SIGTERM or not callable(handlers[signal.SIGTERM]):
            raise
        is_terminated = True
    finally:
        for number, handler in handlers.items():
            if handler is not None:
                signal.signal(number, handler)
    if is_terminated:
        signal.raise_signal(signal.SIGTERM)


@contextmanager
def hangup_blocked() -> Iterator[None]:
    """Start processes that the end of the terminal does not kill.

    This process stops them itself, in an orderly way. It receives the signal at the end.
    """
    blocked_before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked_before)


def signal_number(error: KeyboardInterrupt) -> int:
    """Return the number of the signal that raised an error.

    Ray raises an error of its own if the signal arrives while it waits.
    """
    if isinstance(error, StopRequest):
        return error.signal_number
    handler = _installed_handler()
    if handler is not None and handler.number is not None:
        return handler.number
    return signal.SIGINT


def _installed_handler() -> _StopHandler | None:
    for number in STOP_SIGNALS:
        handler = signal.getsignal(number)
        if isinstance(handler, _StopHandler):
            return handler
    return None


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
