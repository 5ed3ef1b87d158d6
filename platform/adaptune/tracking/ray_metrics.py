"""Metrics of a search for Prometheus, which Ray exports with its own."""

from __future__ import annotations

import time
from collections import Counter as Counts
from collections.abc import Callable, Mapping, Sequence

from ray.tune.experiment import Trial
from ray.util.metrics import Counter, Gauge

from adaptune.evaluation.costs import search_costs
from adaptune.search.callbacks.base import SearchCallback
from adaptune.search.driver import SearchRun
from adaptune.search.protocol import TrialConfig
from adaptune.study.objective import Objective
from adaptune.training.record import EpochRecord

INTERVAL_S = 5.0
PAUSE_FACTOR = 200  # this many times the duration of a reading passes before the next one
# Names of the states as in summary.json, by Optuna's.
STATES: Mapping[str, str] = {
    "RUNNING": "running",
    "COMPLETE": "complete",
    "PRUNED": "pruned",
    "FAIL": "failed",
}


class RayMetricsCallback(SearchCallback):
    """Keeps the metrics of a search up to date.

    The epochs are counted as they come. Everything else is read from the study, every few seconds,
    so that it has the same values as the summary and is right after a resume.

    Args:
        run: the search.
        clock: monotonic clock in seconds.
    """

    def __init__(self, run: SearchRun, clock: Callable[[], float] = time.monotonic) -> None:
        self._run = run
        self._clock = clock
        self._due = clock()
        self._objective = Objective(run.spec.search.metric)
        self._epochs = Counter(
            "adaptune_epochs",
            description="Epochs of trials in this session",
            tag_keys=("search",),
        )
        self._values = _gauge("objective", "Objective of a trial's last epoch", "trial")
        self._best = _gauge("best_objective", "Objective of the best epoch of all trials")
        self._trials = _gauge("trials", "Trials by state; queued ones have not begun", "state")
        self._unhealthy = _gauge("unhealthy_trials", "Trials whose GAN showed a symptom")
        self._device_s = _gauge("device_seconds", "Workers' seconds, by their fate", "fate")

    def on_epoch(self, config: TrialConfig, record: EpochRecord) -> None:
        """Count the epoch and set its objective."""
        search = self._run.spec.name
        self._epochs.inc(tags={"search": search})
        self._objective.observe(config.number, record)
        value = self._objective.value(record)
        self._values.set(value, tags={"search": search, "trial": str(config.number)})

    def on_step(self, trials: Sequence[Trial]) -> None:
        """Read the study, if the last reading is some time ago."""
        start = self._clock()
        if start < self._due:
            return
        self._due = start + INTERVAL_S  # also if it fails
        self.update()
        end = self._clock()
        self._due = end + max(INTERVAL_S, PAUSE_FACTOR * (end - start))

    def on_experiment_end(self, trials: list[Trial], **info: object) -> None:
        """Read the study a last time: there may be no step after the last trial."""
        with self._logged_errors():
            self.update()

    def update(self) -> None:
        """Set all metrics that are read from the study."""
        run = self._run
        search = run.spec.name
        trials = run.study.started_trials()
        states = Counts(STATES[trial.state.name] for trial in trials)
        planned = run.study.steering.trials(run.spec.planned_trials)
        states["queued"] = max(planned - len(trials), 0)
        for state in (*STATES.values(), "queued"):
            self._trials.set(states[state], tags={"search": search, "state": state})
        unhealthy = sum(trial.unhealthy is not None for trial in trials)
        self._unhealthy.set(unhealthy, tags={"search": search})
        best = run.study.best_trial()
        if best is not None and best.best_value is not None:
            self._best.set(best.best_value, tags={"search": search})
        costs = search_costs(run.study, epochs=run.spec.epochs, workers=run.plan.resources.workers)
        fates = {
            "running": costs.running,
            "useful": costs.complete,
            "pruned": costs.pruned,
            "failed": costs.failed,
            "overhead": costs.overhead,
        }
        for fate, seconds in fates.items():
            self._device_s.set(seconds, tags={"search": search, "fate": fate})


def _gauge(name: str, description: str, *tags: str) -> Gauge:
    return Gauge(f"adaptune_{name}", description=description, tag_keys=("search", *tags))
