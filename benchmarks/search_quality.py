"""How much training a search needs: our bridge against Ray's OptunaSearch, on landscapes in closed form.

    python benchmarks/search_quality.py [--seeds 30] [--processes 2]

All searches run up to four trials at a time, with the same ASHA and Optuna's TPE unless named otherwise. Budget
is counted in epochs. The question for each landscape: what part of the budget of Ray's 64 trials do the
others need to reach the simple regret that Ray's search ends with (means over the seeds)? Simple regret is
the best final accuracy there is, less that of the setting which looks best so far.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import math
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np
import optuna
from adaptune.training.guide import TARGET_VAL
from landscapes import EPOCHS, LANDSCAPES, SPACE, Landscape
from ray.tune.schedulers import ASHAScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch
from rich import box
from rich.console import Console
from rich.table import Table

from adaptune.search.scheduler import StudyScheduler
from adaptune.search.searcher import StudySearcher
from adaptune.spec.schema import SearchSpec
from adaptune.spec.tree import put
from adaptune.study import study as studies
from adaptune.study.objective import Objective
from adaptune.study.samplers import distributions

TRIALS, MORE_TRIALS, CONCURRENCY, FACTOR = 64, 192, 4, 3
RAY, OURS, RANDOM, FULL = (
    "Ray's OptunaSearch + ASHA",
    "ours + ASHA",
    "ours, random + ASHA",
    "ours, no ASHA",
)


@dataclass(eq=False)
class FakeTrial:
    """What Tune's Trial shows a scheduler."""

    trial_id: str
    config: dict[str, Any]
    epoch: int = 1
    status: str = "RUNNING"


Search = tuple[Any, Any, Callable[[Any], dict[str, float]]]


def rays_own(seed: int) -> Search:
    """As Ray's documentation pairs them."""
    spec = make_spec(seed)
    searcher = OptunaSearch(space=distributions(spec.space), metric="guide", mode="max", seed=seed)
    scheduler = ASHAScheduler(
        time_attr="training_iteration",
        metric="guide",
        mode="max",
        max_t=EPOCHS,
        reduction_factor=FACTOR,
    )
    return Limited(searcher, TRIALS), scheduler, lambda config: config


def ours(
    seed: int, sampler: str = "tpe", scheduler: str = "asha", trials: int = MORE_TRIALS
) -> Search:
    spec = make_spec(seed, sampler, scheduler, trials)
    study, guide = studies.create_study(spec, None), Objective(TARGET_VAL)
    searcher = StudySearcher(spec, study, guide, lambda _: CONCURRENCY, clock=lambda: 0.0)
    return searcher, StudyScheduler(spec, study, guide), lambda config: config["values"]


class Limited:
    """Hands out so many trials, so many at a time, as Tune's ConcurrencyLimiter and num_samples do."""

    def __init__(self, searcher: OptunaSearch, trials: int) -> None:
        self._searcher = searcher
        self._left = trials
        self._live = 0

    def suggest(self, trial_id: str) -> Any:
        if self._live == CONCURRENCY:
            return None
        if not self._left:
            return "FINISHED"
        self._left, self._live = self._left - 1, self._live + 1
        return self._searcher.suggest(trial_id)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        self._searcher.on_trial_result(trial_id, result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        self._live -= 1
        self._searcher.on_trial_complete(trial_id, None if error else result, error=error)


SEARCHES: dict[str, Callable[[int], Search]] = {
    RAY: rays_own,
    OURS: ours,
    RANDOM: lambda seed: ours(seed, sampler="random"),
    FULL: lambda seed: ours(seed, scheduler="none", trials=TRIALS),
}


def make_spec(
    seed: int, sampler: str = "tpe", scheduler: str = "asha", trials: int = TRIALS
) -> SearchSpec:
    domain = {"domain": "mnist5k", "size": 32, "channels": 1}
    options = {"name": scheduler} | ({"reduction_factor": FACTOR} if scheduler == "asha" else {})
    tree: dict[str, object] = {
        "name": "landscape",
        "seed": seed,
        "data": {"source": domain, "target": domain | {"domain": "optdigits"}},
        "training": {"epochs": EPOCHS},
        "search": {"trials": trials, "sampler": sampler, "scheduler": options},
    }
    for path, distribution in SPACE.items():
        put(tree, path, distribution)
    return SearchSpec.model_validate(tree)


def regrets(landscape: Landscape, search: Search, seed: int) -> list[float]:
    """Simple regret after each epoch of budget; 1.0 while nothing is known."""
    searcher, scheduler, values_of = search
    draw = np.random.default_rng(seed)
    ids = itertools.count()
    live: list[FakeTrial] = []
    found: list[float] = []
    looks_best, regret = -math.inf, 1.0
    while True:
        while len(live) < CONCURRENCY:
            suggested = searcher.suggest(tune_id := f"trial-{next(ids)}")
            if suggested is None or suggested == "FINISHED":
                break
            live.append(FakeTrial(tune_id, suggested))
            scheduler.on_trial_add(None, live[-1])
        if not live:
            return found
        for trial in list(live):
            values = values_of(trial.config)
            value = landscape.curve(values, trial.epoch, draw)
            if value > looks_best:
                looks_best, regret = value, landscape.best - landscape.final(values)
            found.append(regret)
            if not _goes_on(trial, value, searcher, scheduler):
                live.remove(trial)
            trial.epoch += 1


def _goes_on(trial: FakeTrial, value: float, searcher: Any, scheduler: Any) -> bool:
    """Tell scheduler and searcher of an epoch, as Tune does."""
    done = trial.epoch == EPOCHS
    if math.isnan(value):  # the trial fails, under either search
        scheduler.on_trial_remove(None, trial)
        searcher.on_trial_complete(trial.trial_id, {"error": "nan"}, error=True)
        return False
    record = {
        "epoch": trial.epoch,
        TARGET_VAL: value,
        "target_val_loss": 0.0,
        "train_s": 1.0,
        "eval_s": 0.0,
    }
    result = {
        "record": json.dumps(record),
        "epoch": trial.epoch,
        "training_iteration": trial.epoch,
        "guide": value,
        "done": done,
    }
    if done:
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


def run_one(task: tuple[int, str, int]) -> tuple[int, str, list[float]]:
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("ray").setLevel(logging.ERROR)
    index, name, seed = task
    return index, name, regrets(LANDSCAPES[index], SEARCHES[name](seed), seed)


def mean_curve(runs: list[list[float]]) -> np.ndarray[Any, Any]:
    """The mean over seeds after each epoch of budget; a search that has ended keeps its regret."""
    longest = max(map(len, runs))
    return np.mean([run + [run[-1]] * (longest - len(run)) for run in runs], axis=0)


def parts(runs: dict[str, list[list[float]]]) -> Iterator[tuple[str, float, float]]:
    """(search, mean regret at the budget of Ray's 64 trials, part of that budget to reach Ray's regret there)."""
    budget = round(float(np.mean([len(run) for run in runs[RAY]])))
    goal = mean_curve(runs[RAY])[-1]
    for name, found in runs.items():
        curve = mean_curve(found)
        # A seed of Ray's may take more than the mean budget: its own part is 1 by definition.
        reached = np.flatnonzero(curve <= goal) if name != RAY else np.array([budget - 1])
        at = curve[min(budget, len(curve)) - 1]
        yield name, float(at), float(reached[0] + 1) / budget if len(reached) else math.inf


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    tasks = [
        (i, name, seed)
        for i in range(len(LANDSCAPES))
        for name in SEARCHES
        for seed in range(options.seeds)
    ]
    found: list[dict[str, list[list[float]]]] = [
        {name: [] for name in SEARCHES} for _ in LANDSCAPES
    ]
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        for index, name, run in pool.map(run_one, tasks, chunksize=4):
            found[index][name].append(run)
    table = Table(
        "landscape", "search", "regret at Ray's budget", "part of it to reach Ray's", box=box.SIMPLE
    )
    ratios = []
    for landscape, runs in zip(LANDSCAPES, found, strict=True):
        for name, regret, part in parts(runs):
            table.add_row(
                landscape.name,
                name,
                f"{regret:.4f}",
                f"{part:.2f}" if part < math.inf else "not reached",
            )
            ratios += [part] if name == OURS else []
    console = Console(width=120)
    console.print(table)
    worst, median = max(ratios), np.median(ratios)
    console.print(
        f"{OURS}: worst {worst:.2f}, median {median:.2f} of Ray's budget, {options.seeds} seeds"
    )


if __name__ == "__main__":
    main()
