"""Stop signals that a test sends to its own process."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress

import pytest

from adaptune.signals import StopRequest, stop_on_signals


def send(number: int) -> None:
    """Send a signal to this process."""
    os.kill(os.getpid(), number)


def drop_signal(number: int = signal.SIGTERM) -> None:
    """Send a signal to this process, and drop the request to stop, as Ray's code may do."""
    with suppress(KeyboardInterrupt):
        send(number)


def stop_of(function: Callable[[], object]) -> StopRequest:
    """Call a function under the handlers, and return the request that must stop it."""
    with pytest.raises(StopRequest) as caught, stop_on_signals():
        function()
    return caught.value
