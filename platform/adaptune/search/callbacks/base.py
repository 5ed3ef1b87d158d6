"""The base of our Tune callbacks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from ray.tune import Callback
from ray.tune.experiment import Trial

from adaptune.search.protocol import TrialConfig, TrialResult
from adaptune.training.record import EpochRecord

log = logging.getLogger(__name__)


class SearchCallback(Callback):  # type: ignore[misc]  # Ray is untyped
    """A Tune callback with typed hooks; subclasses override the hooks that they need.

    Tune calls the hooks before the searcher for the last epoch of a trial, and after it otherwise.
    """

    def on_epoch(self, config: TrialConfig, record: EpochRecord) -> None:
        """React to an epoch of a trial."""

    def on_trial_end(self, config: TrialConfig, result: TrialResult) -> None:
        """React to the end of a trial, or to its return to the queue."""

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        result: dict[str, object],
        **info: object,
    ) -> None:
        """Forward a result with an epoch to `on_epoch`."""
        record = TrialResult.from_tune(result).record
        if record is not None:
            self.on_epoch(TrialConfig.from_tune(trial.config), record)

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: object
    ) -> None:
        """Forward the end of a trial to `on_trial_end`."""
        result = TrialResult.from_tune(trial.last_result)
        self.on_trial_end(TrialConfig.from_tune(trial.config), result)

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: object
    ) -> None:
        """Forward the death of a trial's process to `on_trial_end`."""
        self.on_trial_complete(iteration, trials, trial, **info)

    def __getstate__(self) -> dict[str, object]:
        """Return nothing: Tune pickles callbacks for its restore, which we do not use."""
        return {}


@contextmanager
def logged_disk_errors(task: str, number: int) -> Iterator[None]:
    """Log an OSError instead of raising it.

    Work that can be repeated from the study must not end a search when the disk is full.

    Args:
        task: description of the work.
        number: number of the trial.
    """
    try:
        yield
    except OSError as error:
        log.warning("%s failed after trial %s: %s", task, number, error)
