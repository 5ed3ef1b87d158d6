"""Replacement of the processes of a trial that has reported nothing for too long."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ray
from ray.tune.experiment import Trial
from rich.console import Console

from adaptune.execution.watchdog import Watchdog
from adaptune.search.callbacks.base import SearchCallback
from adaptune.search.protocol import GroupConfig, GroupResult


def kill_process(trial: Trial) -> None:
    """SIGKILL the actor of a trial; its workers end with it, and Tune starts another actor."""
    ray.kill(trial.temporary_state.ray_actor, no_restart=True)


class WatchdogCallback(SearchCallback):
    """Kills the process of a trial that is overdue; Tune lets the trial resume in another one.

    Args:
        console: where this is printed.
        watchdog: finds the trials that are overdue.
        kill: kills the process of a trial.
    """

    def __init__(
        self,
        console: Console,
        watchdog: Watchdog,
        kill: Callable[[Trial], None] = kill_process,
    ) -> None:
        self._console = console
        self._watchdog = watchdog
        self._kill = kill
        self._trials: dict[int, Trial] = {}  # watched ones, by number

    def on_start(self, trial: Trial) -> None:
        """Watch a trial, whose process has taken it."""
        self._watch(trial, is_starting=True)

    def on_group_epoch(self, config: GroupConfig, result: GroupResult) -> None:
        """Note the time of an epoch."""
        epoch_s = sum(record.active_s for record in result.records().values())
        self._watchdog.report(config.leader, epoch_s)

    def on_group_end(self, config: GroupConfig, result: GroupResult) -> None:
        """Watch a group no more."""
        self._stop(config.leader)

    def on_restart(self, trial: Trial) -> None:
        """Watch a trial no more until its next process has started."""
        self._stop(GroupConfig.from_tune(trial.config).leader)

    def on_step(self, trials: Sequence[Trial]) -> None:
        """Kill the processes of the trials that are overdue."""
        for trial in trials:
            if _waits_for_reuse(trial) and trial not in self._trials.values():
                self._watch(trial, is_starting=False)
        for silence in self._watchdog.overdue():
            self._console.print(
                f"         trial {silence.number} has reported nothing for"
                f" {silence.duration_s:.0f} s ({silence.bound_s:.0f} s are allowed, see"
                " resources.epoch_timeout_s): its processes are replaced, and it resumes from its"
                " last checkpoint",
                style="yellow",
                soft_wrap=True,
            )
            self._kill(self._trials[silence.number])

    def _watch(self, trial: Trial, *, is_starting: bool) -> None:
        number = GroupConfig.from_tune(trial.config).leader
        self._trials[number] = trial
        self._watchdog.start(number, is_starting=is_starting)

    def _stop(self, number: int) -> None:
        self._trials.pop(number, None)
        self._watchdog.stop(number)


def _waits_for_reuse(trial: Trial) -> bool:
    """Return whether the process of an ended trial has yet to take this one.

    Tune calls no hook before the process has answered.
    """
    return trial.status == Trial.PENDING and trial.temporary_state.ray_actor is not None
