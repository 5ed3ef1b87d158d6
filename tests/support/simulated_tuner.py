"""A small version of Ray Tune's loop, in one process."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import TrialScheduler

from adaptune.search.trainable import TrialContext, TrialTrainable
from support.fake_search import FakeTrial


@dataclass(eq=False)
class _LiveTrial:
    view: FakeTrial
    steps: TrialTrainable


class SimulatedTuner:
    """Takes the place of `tune.Tuner`.

    Errors of the searcher, the scheduler and the callbacks end the search.
    """

    concurrency = 1

    def __init__(self, trials: SimpleNamespace, *, tune_config: Any, run_config: Any) -> None:
        self._context: TrialContext = trials.context
        self._searcher = tune_config.search_alg
        self._scheduler = tune_config.scheduler
        # The events are written by another library, and nothing reads them back.
        self._callbacks = [
            callback
            for callback in run_config.callbacks
            if type(callback).__name__ != "TensorBoardCallback"
        ]
        self._live: list[_LiveTrial] = []

    def fit(self) -> None:
        """Run trials until the searcher has no more."""
        for iteration in itertools.count():
            self._start(iteration)
            if not self._live:
                break
            for trial in list(self._live):
                self._step(trial, iteration)
            self._call("on_step_end", iteration)

    def _start(self, iteration: int) -> None:
        while len(self._live) < self.concurrency:
            trial_id = f"trial-{iteration}-{len(self._live)}"
            config = self._searcher.suggest(trial_id)
            if not isinstance(config, dict):
                break
            view = FakeTrial(trial_id, config)
            steps = TrialTrainable.__new__(TrialTrainable)
            steps.setup(config, self._context)
            stop_trials = SimpleNamespace(remote=steps.stop_trials)
            view.temporary_state.ray_actor = SimpleNamespace(stop_trials=stop_trials)
            self._live.append(_LiveTrial(view, steps))
            self._scheduler.on_trial_add(None, view)
            self._call("on_trial_start", iteration, trial=view)

    def _step(self, trial: _LiveTrial, iteration: int) -> None:
        view = trial.view
        result = trial.steps.step()
        view.last_result = result
        decision = TrialScheduler.STOP
        if not result["done"]:
            decision = self._scheduler.on_trial_result(None, view, result)
        if decision == TrialScheduler.CONTINUE:
            self._searcher.on_trial_result(view.trial_id, result)
        self._call("on_trial_result", iteration, trial=view, result=result)
        if decision == TrialScheduler.STOP:
            self._scheduler.on_trial_complete(None, view, result)
            self._searcher.on_trial_complete(view.trial_id, result)
            self._live.remove(trial)
            trial.steps.cleanup()
            self._call("on_trial_complete", iteration, trial=view)

    def _call(self, hook: str, iteration: int, **arguments: Any) -> None:
        trials = [trial.view for trial in self._live]
        for callback in self._callbacks:
            getattr(callback, hook)(iteration=iteration, trials=trials, **arguments)
