"""Signals that arrive while Ray starts."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from adaptune.signals import STOP_SIGNALS, is_main_thread


@contextmanager
def handlers_restored() -> Iterator[None]:
    """Restore the handlers of the stop signals at the end of a call that replaces them.

    `ray.init` does: its own handler of SIGTERM exits with status 15. A SIGTERM that it received is
    handled again here.
    """
    if not is_main_thread():
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
