"""Storage of the search's running time."""

from __future__ import annotations

from adaptune.search.callbacks.base import SearchCallback
from adaptune.search.protocol import TrialConfig
from adaptune.study.wall_clock import WallClock
from adaptune.training.record import EpochRecord


class WallClockCallback(SearchCallback):
    """Stores the running time in the study after each epoch, so that a kill loses little of it."""

    def __init__(self, clock: WallClock) -> None:
        self._clock = clock

    def on_epoch(self, config: TrialConfig, record: EpochRecord) -> None:
        """Store the running time."""
        self._clock.update()
