"""Progress of the preparation of images, as lines of text."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console

from adaptune.text import duration

INTERVAL_S = 10.0


class PreparationProgress:
    """Prints how many images are prepared, and how long the rest will take.

    Nothing is printed about data that is prepared within seconds.

    Args:
        console: where lines are printed.
        clock: monotonic clock in seconds.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._role = ""
        self._start = clock()
        self._last_call = self._start
        self._last_line = self._start

    def __call__(self, role: str, done: int, total: int) -> None:
        """Note that some images of the source or the target are prepared.

        Args:
            role: `source` or `target`.
            done: number of prepared images.
            total: number of images to prepare.
        """
        now = self._clock()
        if role != self._role:
            self._role = role
            self._start = self._last_call
        self._last_call = now
        if done == total or now - self._last_line < INTERVAL_S:
            return
        self._last_line = now
        left_s = (now - self._start) / done * (total - done)
        self._console.print(
            f"preparing the images of the {role}: {done:,} of {total:,}, about"
            f" {duration(left_s)} left",
            highlight=False,
        )
