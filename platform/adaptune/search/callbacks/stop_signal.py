"""The end of a search whose request to stop was dropped."""

from __future__ import annotations

from collections.abc import Sequence

from ray.tune.experiment import Trial

from adaptune.search.callbacks.base import SearchCallback
from adaptune.signals import raise_if_stopped


class StopSignalCallback(SearchCallback):
    """Ends a search after a stop signal whose exception Tune's or Ray's code has dropped."""

    def on_step(self, trials: Sequence[Trial]) -> None:
        """End the search if a signal has arrived.

        Raises:
            StopRequest: a signal has arrived.
        """
        raise_if_stopped()
