"""Cost of a finished trial for the driver's own code, by the number of trials; without Ray.

    python benchmarks/driver_scaling.py [--trials 40 1000 10000] [--samplers random tpe]

Tune is replaced by a small loop over trials with a known curve. Searcher, scheduler, study, journal
and callbacks are those of a search. Each search runs in a process of its own. A cost per trial
that grows with the number of trials is a limit of the search: compare the last column. Samplers
such as `tpe` read all trials for each proposal, so `random` shows what is ours.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from io import StringIO
from multiprocessing import get_context
from pathlib import Path
from typing import Any, cast
from unittest import mock

import optuna
from fake_tune import FakeTrial, make_trial_result
from landscapes import LANDSCAPES
from numpy.random import default_rng
from processes import memory_mb
from ray import tune
from ray.tune.schedulers import TrialScheduler
from rich.console import Console
from searches import make_spec

from adaptune.cluster.placement import PlacementPlan
from adaptune.execution.base import SharedRefs
from adaptune.results.folder import ResultsFolder
from adaptune.search.driver import SearchRun, run_trials
from adaptune.search.protocol import GroupConfig, GroupResult
from adaptune.spec.resources import WorkerResources
from adaptune.study.storage import open_study
from adaptune.study.wall_clock import WallClock
from adaptune.training.validators import VALIDATORS

CONCURRENCY = 64
RESOURCES = WorkerResources(workers=1, cpus_per_worker=1, gpus_per_worker=0.0)


class SimulatedCapacity:
    """Room for the same number of trials at all times."""

    node_timeout_s = 600.0

    def __call__(self, unfinished: int) -> int:
        """Return how many trials may run."""
        return CONCURRENCY


class SimulatedTuner:
    """Tune's loop, without processes: each trial in turn reports an epoch of a landscape."""

    def __init__(self, trainable: object, tune_config: Any, run_config: Any) -> None:
        self._searcher = tune_config.search_alg
        self._scheduler = tune_config.scheduler
        self._callbacks = run_config.callbacks
        self._ids = itertools.count()
        self._running: list[FakeTrial] = []

    def fit(self) -> None:
        """Run all trials."""
        random = default_rng(0)
        while self._start_trials():
            for trial in list(self._running):
                [config] = GroupConfig.from_tune(trial.config).trials
                accuracy = LANDSCAPES[0].accuracy(config.values, trial.epoch, random)
                self._report(trial, accuracy)
                for callback in self._callbacks:
                    callback.on_step_end(1, self._running)

    def _start_trials(self) -> bool:
        while True:
            trial_id = f"trial-{next(self._ids)}"
            config = self._searcher.suggest(trial_id)
            if not isinstance(config, dict):
                return bool(self._running)
            trial = FakeTrial(trial_id, config)
            self._running.append(trial)
            self._scheduler.on_trial_add(None, trial)

    def _report(self, trial: FakeTrial, accuracy: float) -> None:
        trial_result = make_trial_result(trial.epoch, accuracy, dict.fromkeys(VALIDATORS, accuracy))
        is_last = trial_result.done
        result = GroupResult({trial.number: trial_result}, done=is_last).to_tune()
        is_stopped = False
        if not is_last:
            decision = self._scheduler.on_trial_result(None, trial, result)
            is_stopped = decision == TrialScheduler.STOP
            if not is_stopped:
                self._searcher.on_trial_result(trial.trial_id, result)
        tune_trial = cast(Any, trial)
        tune_trial.last_result = result
        for callback in self._callbacks:
            callback.on_trial_result(1, self._running, tune_trial, result)
        trial.epoch += 1
        if is_last or is_stopped:
            self._running.remove(trial)
            self._scheduler.on_trial_complete(None, trial, result)
            self._searcher.on_trial_complete(trial.trial_id, result)
            for callback in self._callbacks:
                callback.on_trial_complete(1, self._running, tune_trial)


@dataclass(frozen=True)
class Cost:
    """Cost of a search for the driver.

    Attributes:
        sampler: name of the sampler.
        trials: number of trials.
        cpu_ms: CPU time per trial.
        memory_kb: growth of the resident memory per trial.
    """

    sampler: str
    trials: int
    cpu_ms: float
    memory_kb: float


def measure(sampler: str, trials: int, folder: str) -> Cost:
    """Run a search in a subfolder of `folder`."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("ray").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(dir=folder) as out:
        run = simulated_run(sampler, trials, Path(out))
        memory = memory_mb()
        start = time.process_time()
        with mock.patch.object(tune, "Tuner", SimulatedTuner):
            run_trials(run)
        cpu_s = time.process_time() - start
    return Cost(
        sampler,
        trials,
        cpu_ms=1e3 * cpu_s / trials,
        memory_kb=1e3 * (memory_mb() - memory) / trials,
    )


def simulated_run(sampler: str, trials: int, out: Path) -> SearchRun:
    """Return a search without data."""
    spec = make_spec(seed=0, sampler=sampler, trials=trials)
    folder = ResultsFolder(out)
    study = open_study(spec, folder.journal)
    unused: Any = None
    capacity: Any = SimulatedCapacity()
    return SearchRun(
        spec=spec,
        splits=unused,
        plan=PlacementPlan("in_process", RESOURCES, CONCURRENCY, CONCURRENCY, task_cpus=1),
        folder=folder,
        console=Console(file=StringIO()),
        study=study,
        clock=WallClock(study, time.perf_counter()),
        tasks=unused,
        capacity=capacity,
        source_weights={},
        source_classifier_s=0.0,
        shared=SharedRefs(unused, unused),
        inputs=unused,
    )


def print_costs(costs: Sequence[Cost], console: Console) -> None:
    """Print one line per search, with its cost relative to the search before with this sampler."""
    before: dict[str, Cost] = {}
    for cost in costs:
        line = (
            f"{cost.sampler:<8}{cost.trials:>7} trials: {cost.cpu_ms:6.1f} ms of CPU time and"
            f" {cost.memory_kb:4.0f} kB per trial"
        )
        if cost.sampler in before:
            fewer = before[cost.sampler]
            line += f"; {cost.cpu_ms / fewer.cpu_ms:.2f} × the time of {fewer.trials}"
        before[cost.sampler] = cost
        console.print(line, highlight=False)


def main() -> None:
    """Run the searches and print their costs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, nargs="+", default=[40, 1000, 10_000])
    parser.add_argument("--samplers", nargs="+", default=["random", "tpe"])
    parser.add_argument("--dir", default="/dev/shm", help="parent of the results folders")
    options = parser.parse_args()
    costs = []
    for sampler in options.samplers:
        for trials in options.trials:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                costs.append(pool.submit(measure, sampler, trials, options.dir).result())
    print_costs(costs, Console(width=120))


if __name__ == "__main__":
    main()
