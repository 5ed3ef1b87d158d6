"""Progress of a search on the terminal: one line per epoch."""

from __future__ import annotations

import time
from collections.abc import Callable

from ray.tune.experiment import Trial
from rich.console import Console

from adaptune.search.callbacks.base import SearchCallback
from adaptune.search.protocol import GroupConfig, GroupResult, TrialConfig
from adaptune.study.job import format_values
from adaptune.study.objective import Objective, format_objective, format_value
from adaptune.study.study import SearchStudy
from adaptune.training.record import TARGET_VAL, EpochRecord

_INDENT = " " * 9


class ConsoleCallback(SearchCallback):
    """Prints each epoch, and each trial that failed, became unhealthy or waits for workers.

    Args:
        console: where to print.
        study: study of the search.
        objective: objective of the search.
        trials: number of trials in all, apart from requested ones.
        epochs: number of epochs of a trial that is not stopped.
        prints_epochs: whether each epoch is printed.
        clock: monotonic clock in seconds.
    """

    def __init__(
        self,
        console: Console,
        study: SearchStudy,
        objective: Objective,
        *,
        trials: int,
        epochs: int,
        prints_epochs: bool = True,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._console = console
        self._study = study
        self._objective = objective
        self._trials = trials
        self._epochs = epochs
        self._prints_epochs = prints_epochs
        self._clock = clock
        self._start = clock()
        values = []
        for trial in study.started_trials():
            values += list(trial.curve.values())
        self._best: float | None = max(values, default=None)

    def on_epoch(self, config: TrialConfig, record: EpochRecord) -> None:
        """Print the epoch, the best objective so far and the trial's values."""
        self._objective.observe(config.number, record)
        value = self._objective.value(record)
        self._best = value if self._best is None else max(self._best, value)
        if not self._prints_epochs:
            return
        self._console.print(
            f"{self._clock() - self._start:6.0f}s"
            f"  trial {config.number:>3}/{self._study.steering.trials(self._trials)}"
            f"  epoch {record.epoch:>2}/{self._epochs}"
            f"  {self._format_objective(record, value, self._best)}"
            f"  {format_values(config.values)}",
            highlight=False,
            soft_wrap=True,
        )

    def on_restart(self, trial: Trial) -> None:
        """Print why a trial's process died; the trial resumes in another one."""
        config = GroupConfig.from_tune(trial.config)
        self._print(f"{_label(config)} is restarted: {config.death}", "yellow")

    def on_group_end(self, config: GroupConfig, result: GroupResult) -> None:
        """Print why trials wait."""
        if result.requeue_reason is not None:
            self._print(f"{_label(config)} waits for workers: {result.requeue_reason}", "yellow")

    def on_trial_end(self, config: TrialConfig) -> None:
        """Print why a trial is unhealthy or failed."""
        number = config.number
        trial = self._study.trial(number)
        if trial.unhealthy is not None:
            self._print(f"trial {number} is unhealthy: {trial.unhealthy}", "yellow")
        if trial.error is not None:
            self._print(f"trial {number} failed: {trial.error}", "red")

    def _format_objective(self, record: EpochRecord, value: float, best: float) -> str:
        metric = self._study.metric
        text = f"{format_objective(metric, value)}  best {format_value(metric, best)}"
        accuracy = record.target_val_accuracy
        if metric != TARGET_VAL and accuracy is not None:
            text += f"  target_val {accuracy:.1%}"
        return text

    def _print(self, message: str, style: str) -> None:
        self._console.print(_INDENT + message, style=style, soft_wrap=True)


def _label(config: GroupConfig) -> str:
    """Return the numbers of a group's running trials: `trial 3`, or `group of trials 3, 4, 7`."""
    numbers = ", ".join(str(number) for number in config.running_numbers)
    return f"trial {numbers}" if len(config.running) == 1 else f"group of trials {numbers}"
