"""A stop signal whose exception is dropped, as Ray's code may do."""

from __future__ import annotations

import os
import signal
from contextlib import suppress


def drop_signal(number: int = signal.SIGTERM) -> None:
    """Send a signal to this process, and drop the request to stop."""
    with suppress(KeyboardInterrupt):
        os.kill(os.getpid(), number)
