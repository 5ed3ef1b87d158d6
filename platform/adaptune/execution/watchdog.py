"""The time for which each running trial has reported nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

SLOWEST_EPOCHS = 10  # bound, in multiples of the slowest epoch of any trial
START_S = 300.0  # more for the first epoch of a process, which includes the start of its workers
# A driver that was stopped, or waited for a database, did not listen meanwhile.
MAX_STEP_S = 10.0


@dataclass(frozen=True)
class Silence:
    """A trial that has reported nothing for too long.

    Attributes:
        number: number of the trial.
        duration_s: seconds since its last report.
        bound_s: seconds that were allowed.
    """

    number: int
    duration_s: float
    bound_s: float


class Watchdog:
    """Finds running trials whose last report is too long ago.

    Args:
        epoch_timeout_s: seconds that an epoch may take in any case.
        slowest_epoch_s: seconds of the slowest epoch so far.
        clock: monotonic clock in seconds.
    """

    def __init__(
        self,
        epoch_timeout_s: float,
        slowest_epoch_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._epoch_timeout_s = epoch_timeout_s
        self._slowest_epoch_s = slowest_epoch_s
        self._clock = clock
        self._last_step = clock()
        self._now_s = 0.0  # seconds for which the driver has listened
        self._last_report_s: dict[int, float] = {}  # by number of the trial
        self._starting: set[int] = set()  # trials whose present process has reported nothing yet

    def start(self, number: int, *, is_starting: bool) -> None:
        """Watch a trial from now on.

        Args:
            is_starting: whether the trial may start workers before it reports.
        """
        self._last_report_s[number] = self._now_s
        if is_starting:
            self._starting.add(number)

    def report(self, number: int, epoch_s: float) -> None:
        """Note an epoch of a trial."""
        self._slowest_epoch_s = max(self._slowest_epoch_s, epoch_s)
        self._last_report_s[number] = self._now_s
        self._starting.discard(number)

    def stop(self, number: int) -> None:
        """Watch a trial no more."""
        self._last_report_s.pop(number, None)
        self._starting.discard(number)

    def overdue(self) -> Iterator[Silence]:
        """Yield the trials that are overdue, each again after another bound.

        To be called in short intervals: time in which the driver did not listen does not count.
        """
        now = self._clock()
        self._now_s += min(now - self._last_step, MAX_STEP_S)
        self._last_step = now
        for number, last_report_s in list(self._last_report_s.items()):
            bound_s = max(self._epoch_timeout_s, SLOWEST_EPOCHS * self._slowest_epoch_s)
            if number in self._starting:
                bound_s += START_S
            duration_s = self._now_s - last_report_s
            if duration_s > bound_s:
                self._last_report_s[number] = self._now_s
                yield Silence(number, duration_s, bound_s)
