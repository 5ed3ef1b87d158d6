"""The base of our Tune callbacks."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

from ray.tune import Callback
from ray.tune.experiment import Trial

from adaptune.search.protocol import GroupConfig, GroupResult, TrialConfig
from adaptune.training.record import EpochRecord

log = logging.getLogger(__name__)


class SearchCallback(Callback):  # type: ignore[misc]  # Ray is untyped
    """A Tune callback with typed hooks; subclasses override the hooks that they need.

    What Tune calls a trial is a trial group. Tune calls the hooks before the searcher for the last
    epoch of a group, and after it otherwise.

    An error of a hook is logged, because callbacks do work that can be repeated from the study, and
    Tune would train an ended trial again whose callback failed. A class that is essential raises
    from `on_step` instead, from which an error ends the search.
    """

    is_essential: ClassVar[bool] = False

    def on_start(self, trial: Trial) -> None:
        """React to the start of a trial, which may continue in another process."""

    def on_restart(self, trial: Trial) -> None:
        """React to the death of a trial's process, which Tune replaces."""

    def on_step(self, trials: Sequence[Trial]) -> None:
        """React to a step of Tune's loop, about ten times per second."""

    def on_epoch(self, config: TrialConfig, record: EpochRecord) -> None:
        """React to an epoch of a trial."""

    def on_group_epoch(self, config: GroupConfig, result: GroupResult) -> None:
        """React to an epoch of a trial group."""

    def on_trial_end(self, config: TrialConfig) -> None:
        """React to the end of a trial."""

    def on_group_end(self, config: GroupConfig, result: GroupResult) -> None:
        """React to the end of a trial group, or to its return to the queue."""

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        result: dict[str, object],
        **info: object,
    ) -> None:
        """Forward epochs to `on_epoch`, and ends of trials whose group continues."""
        with self._logged_errors():
            config = GroupConfig.from_tune(trial.config)
            group_result = GroupResult.from_tune(result)
            for number, record in group_result.records().items():
                self.on_epoch(config.trial(number), record)
            if group_result.records():
                self.on_group_epoch(config, group_result)
            if not group_result.done:
                for number in config.ended.intersection(group_result.trials):
                    self.on_trial_end(config.trial(number))

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: object
    ) -> None:
        """Forward the end of a group, and those of the trials that ended with it."""
        with self._logged_errors():
            config = GroupConfig.from_tune(trial.config)
            result = GroupResult.from_tune(trial.last_result)
            if result.requeue_reason is None:
                # The trials of the last result end now, and all others if the process has died.
                ended = result.trials if result.done else config.running_numbers
                for number in ended:
                    self.on_trial_end(config.trial(number))
            self.on_group_end(config, result)

    on_trial_error = on_trial_complete  # if the trial's process died too often

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: object
    ) -> None:
        """Forward the start of a trial to `on_start`."""
        with self._logged_errors():
            self.on_start(trial)

    def on_trial_recover(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: object
    ) -> None:
        """Forward the replacement of a dead process to `on_restart`."""
        with self._logged_errors():
            self.on_restart(trial)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: object) -> None:
        """Forward a step to `on_step`."""
        with self._logged_errors():
            self.on_step(trials)

    @contextmanager
    def _logged_errors(self) -> Iterator[None]:
        try:
            yield
        except Exception:
            if self.is_essential:
                raise
            log.exception("%s failed; the search continues", type(self).__name__)

    def __getstate__(self) -> dict[str, object]:
        """Return nothing: Tune pickles callbacks for its restore, which we do not use."""
        return {}
