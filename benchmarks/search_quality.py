"""Training that a search needs: adaptune's searcher against Ray's OptunaSearch, in closed form.

    python benchmarks/search_quality.py [--seeds 30] [--processes 2]

All searches run up to four trials at a time, with the same ASHA and Optuna's TPE unless named
otherwise. The budget is counted in epochs. Simple regret is the highest final accuracy of a
landscape, minus that of the configuration with the best reported accuracy so far. The question for
each landscape: what share of the budget of Ray's 64 trials does another search need to reach the
simple regret that Ray's search ends with? All curves are means over the seeds.
"""

from __future__ import annotations

import argparse
import logging
import math
import warnings
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np
import optuna
from landscapes import EPOCHS, LANDSCAPES, Landscape
from numpy.typing import NDArray
from ray.tune.schedulers import TrialScheduler
from rich import box
from rich.console import Console
from rich.table import Table
from searches import ADAPTUNE, CONCURRENCY, RAY, SEARCHES, TUNE_EPOCH, Search

from adaptune.search.protocol import GroupResult, TrialResult
from adaptune.training.record import EpochRecord

Regrets = list[float]  # simple regret after each epoch of budget


@dataclass(eq=False)
class FakeTrial:
    """The attributes of Tune's Trial that a scheduler reads, and the epoch to report next."""

    trial_id: str
    config: dict[str, Any]
    epoch: int = 1
    status: str = "RUNNING"

    @property
    def number(self) -> int:
        """Number of the trial; 0 in Ray's searches, whose trials have none."""
        return int(self.config.get("leader", 0))

    def set_config(self, config: dict[str, Any]) -> None:
        """Replace the config, as Tune's Trial does."""
        self.config = config


class FakeTune:
    """Tune's loop over trials whose accuracies a landscape gives.

    Args:
        seed: seed of the noise.
    """

    def __init__(self, landscape: Landscape, search: Search, seed: int) -> None:
        self._landscape = landscape
        self._search = search
        self._random = np.random.default_rng(seed)
        self._running: list[FakeTrial] = []
        self._suggestions = 0
        self._best_reported = -math.inf

    def run(self) -> Regrets:
        """Run the search to its end, and return its regrets; 1.0 before any accuracy is known."""
        regrets: Regrets = []
        regret = 1.0
        while True:
            self._start_trials()
            if not self._running:
                return regrets
            for trial in list(self._running):
                values = self._search.values(trial.config)
                accuracy = self._landscape.accuracy(values, trial.epoch, self._random)
                if accuracy > self._best_reported:
                    self._best_reported = accuracy
                    regret = self._landscape.best - self._landscape.final(values)
                regrets.append(regret)
                if not self._continues(trial, accuracy):
                    self._running.remove(trial)
                trial.epoch += 1

    def _start_trials(self) -> None:
        while len(self._running) < CONCURRENCY:
            trial_id = f"trial-{self._suggestions}"
            self._suggestions += 1
            config = self._search.searcher.suggest(trial_id)
            if not isinstance(config, dict):
                break
            trial = FakeTrial(trial_id, config)
            self._running.append(trial)
            self._search.scheduler.on_trial_add(None, trial)

    def _continues(self, trial: FakeTrial, accuracy: float) -> bool:
        """Report an epoch to scheduler and searcher, as Tune does; return whether more follow."""
        searcher, scheduler = self._search.searcher, self._search.scheduler
        if math.isnan(accuracy):  # the trial fails, in every search
            scheduler.on_trial_remove(None, trial)
            failure = TrialResult(error="nan", done=True)
            error = GroupResult({trial.number: failure}, done=True).to_tune()
            searcher.on_trial_complete(trial.trial_id, error, error=True)
            return False
        result = make_result(trial, accuracy)
        if trial.epoch == EPOCHS:
            scheduler.on_trial_complete(None, trial, result)
            searcher.on_trial_complete(trial.trial_id, result)
            return False
        decision = scheduler.on_trial_result(None, trial, result)
        searcher.on_trial_result(trial.trial_id, result)
        if decision == TrialScheduler.STOP:
            scheduler.on_trial_remove(None, trial)
            searcher.on_trial_complete(trial.trial_id, result)
            return False
        return True


def make_result(
    trial: FakeTrial, accuracy: float, validators: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """Return the result of the trial's next epoch, for adaptune's classes and for Ray's."""
    epoch = trial.epoch
    record = EpochRecord(
        epoch=epoch,
        train_s=1.0,
        eval_s=0.0,
        source_val_accuracy=accuracy,
        target_val_accuracy=accuracy,
        target_val_loss=0.0,
        validators=validators or {},
    )
    done = epoch == EPOCHS
    result = GroupResult({trial.number: TrialResult(record, accuracy, done=done)}, done=done)
    return result.to_tune() | {TUNE_EPOCH: epoch}


@dataclass(frozen=True)
class BudgetShare:
    """A search compared with Ray's.

    Attributes:
        search: name of the search.
        regret: mean regret at the budget of Ray's trials.
        share: share of that budget after which the mean regret is at most Ray's; inf if never.
    """

    search: str
    regret: float
    share: float


def mean_curve(runs: list[Regrets]) -> NDArray[np.float64]:
    """Return the mean regret after each epoch of budget; a run that ended keeps its last one."""
    longest = max(len(run) for run in runs)
    padded = [run + [run[-1]] * (longest - len(run)) for run in runs]
    mean: NDArray[np.float64] = np.mean(padded, axis=0)
    return mean


def budget_shares(runs: Mapping[str, list[Regrets]]) -> list[BudgetShare]:
    """Compare all searches with Ray's.

    Args:
        runs: regrets of each seed, by the name of the search.
    """
    budget = round(float(np.mean([len(run) for run in runs[RAY]])))
    goal = mean_curve(runs[RAY])[-1]
    shares = []
    for name, search_runs in runs.items():
        curve = mean_curve(search_runs)
        reached = np.flatnonzero(curve <= goal)
        share = math.inf
        if name == RAY:  # one of its seeds may take more than the mean budget
            share = 1.0
        elif len(reached):
            share = float(reached[0] + 1) / budget
        regret = float(curve[min(budget, len(curve)) - 1])
        shares.append(BudgetShare(name, regret, share))
    return shares


Task = tuple[int, str, int]  # number of the landscape, name of the search, seed
Runs = list[dict[str, list[Regrets]]]  # per landscape: regrets of each seed, by search


def run_task(task: Task) -> Regrets:
    """Run one search."""
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("ray").setLevel(logging.ERROR)
    number, name, seed = task
    return FakeTune(LANDSCAPES[number], SEARCHES[name](seed), seed).run()


def run_all(seeds: int, processes: int) -> Runs:
    """Run every search on every landscape under every seed."""
    tasks: list[Task] = []
    for number in range(len(LANDSCAPES)):
        for name in SEARCHES:
            tasks += [(number, name, seed) for seed in range(seeds)]
    runs: Runs = [{name: [] for name in SEARCHES} for _ in LANDSCAPES]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for task, regrets in zip(tasks, pool.map(run_task, tasks, chunksize=4), strict=True):
            number, name, _ = task
            runs[number][name].append(regrets)
    return runs


def print_table(runs: Runs, console: Console) -> list[float]:
    """Print the comparison, and return adaptune's shares of Ray's budget, one per landscape."""
    table = Table(
        "landscape",
        "search",
        "regret at Ray's budget",
        "share of it to reach Ray's",
        box=box.SIMPLE,
    )
    adaptune_shares = []
    for landscape, search_runs in zip(LANDSCAPES, runs, strict=True):
        for row in budget_shares(search_runs):
            share = "not reached"
            if row.share < math.inf:
                share = f"{row.share:.2f}"
            table.add_row(landscape.name, row.search, f"{row.regret:.4f}", share)
            if row.search == ADAPTUNE:
                adaptune_shares.append(row.share)
    console.print(table)
    return adaptune_shares


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    console = Console(width=120)
    shares = print_table(run_all(options.seeds, options.processes), console)
    console.print(
        f"{ADAPTUNE}: worst {max(shares):.2f}, median {np.median(shares):.2f} of Ray's budget,"
        f" {options.seeds} seeds"
    )


if __name__ == "__main__":
    main()
