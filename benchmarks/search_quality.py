"""Device time that a search needs: adaptune's searches against Ray's OptunaSearch, simulated.

    python benchmarks/search_quality.py [--seeds 50] [--processes 2] [--withheld]
    python benchmarks/search_quality.py --recorded benchmarks/curves/*.parquet

Trials are not trained. Their accuracies are those of landscapes in closed form, or of a model of
curves that record_curves.py recorded, which is replayed with its measured noise.

All searches run up to four trials, or groups of four trials that share a GAN, at a time. The budget
is device time, in epochs of a single trial; an epoch of a group takes longer by the share of f_T.
Regret is the highest final accuracy of a landscape, minus that of the settings with the best
reported accuracy so far. The question for each landscape: what share of the budget of Ray's 64
trials does another search need to reach, for good, the regret of Ray's at its end? All curves are
means over the seeds; the intervals are 95% of a bootstrap over the seeds, which the searches share.

The regret of the model is the highest final accuracy, minus the true accuracy of the model with the
best reported accuracy: it also counts what that trial lacks because it was stopped.
"""

from __future__ import annotations

import argparse
import logging
import math
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import optuna
from fake_tune import FakeTune, Run
from landscapes import LANDSCAPES, WITHHELD_LANDSCAPES
from recorded_landscape import AnyLandscape, RecordedLandscape
from rich import box
from rich.console import Console
from rich.table import Table
from searches import CURVES, RAY, SEARCHES

from adaptune.curves.kernel import Array

MOST_SHARE = 1.25  # of Ray's budget, for the other searches
_RESAMPLES = 1000


@dataclass(frozen=True)
class Comparison:
    """A search compared with Ray's.

    Attributes:
        search: name of the search.
        regret: mean regret at the budget of Ray's trials.
        model_regret: mean regret of the model, at the same time.
        share: share of that budget after which the mean regret stays at most at Ray's; inf if
            never.
        interval: 95% interval of the share.
        proposal_s: seconds of computing of searcher and scheduler per trial.
    """

    search: str
    regret: float
    model_regret: float
    share: float
    interval: tuple[float, float]
    proposal_s: float


def regret_curves(runs: Sequence[Run], length: int, *, of_model: bool = False) -> Array:
    """Return the regret of each run at device times 1, 2, …, length: (runs, length).

    It is 1 before the first report. A run that ended keeps its last one.
    """
    times = np.arange(1, length + 1)
    curves = []
    for run in runs:
        spent = np.array([report.spent for report in run.reports])
        regrets = [report.model_regret if of_model else report.regret for report in run.reports]
        known = np.array([1.0, *regrets])
        curves.append(known[np.searchsorted(spent, times + 1e-9, side="right")])
    return np.array(curves)


def share_to_reach(mean_curve: Array, goal: float, budget: float) -> float:
    """Return the share of the budget after which a mean regret stays at most at the goal.

    The highest reported accuracy may be luck, so that a regret may rise again.
    """
    missed = np.flatnonzero(mean_curve > goal)
    reached = int(missed[-1]) + 1 if len(missed) else 0
    return (reached + 1) / budget if reached < len(mean_curve) else math.inf


def compare(runs: Mapping[str, Sequence[Run]]) -> list[Comparison]:
    """Compare all searches with Ray's.

    Args:
        runs: runs of each seed, by the name of the search.
    """
    ends = np.array([run.reports[-1].spent for run in runs[RAY]])
    final = np.array([run.reports[-1].regret for run in runs[RAY]])
    budget = float(ends.mean())
    length = math.ceil(max(MOST_SHARE * budget, ends.max()))
    random = np.random.default_rng(0)
    draws = random.integers(len(final), size=(_RESAMPLES, len(final)))
    comparisons = []
    for name, search_runs in runs.items():
        curves = regret_curves(search_runs, length)
        models = regret_curves(search_runs, length, of_model=True)
        share = share_to_reach(curves.mean(axis=0), float(final.mean()), budget)
        shares = []
        for drawn in draws:
            mean = curves[drawn].mean(axis=0)
            shares.append(
                share_to_reach(mean, float(final[drawn].mean()), float(ends[drawn].mean()))
            )
        low, high = np.quantile(shares, [0.025, 0.975], method="nearest")
        seconds = sum(run.searcher_s for run in search_runs)
        comparisons.append(
            Comparison(
                search=name,
                regret=float(curves[:, round(budget) - 1].mean()),
                model_regret=float(models[:, round(budget) - 1].mean()),
                share=1.0 if name == RAY else share,
                interval=(1.0, 1.0) if name == RAY else (float(low), float(high)),
                proposal_s=seconds / sum(run.proposals for run in search_runs),
            )
        )
    return comparisons


Runs = dict[str, dict[str, list[Run]]]  # by landscape and search: one per seed


Task = tuple[str | Path, str, int, float]  # a landscape's name or file, a search, a seed, a budget


@cache
def find_landscape(source: str | Path) -> AnyLandscape:
    """Return a landscape in closed form by its name, or a recorded one by its file."""
    if isinstance(source, Path):
        return RecordedLandscape(source)
    by_name = {landscape.name: landscape for landscape in LANDSCAPES + WITHHELD_LANDSCAPES}
    return by_name[source]


def run_task(task: Task) -> Run:
    """Run one search. Landscapes cannot be sent to a process, so that each finds its own."""
    source, name, seed, budget = task
    landscape = find_landscape(source)
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("ray").setLevel(logging.ERROR)
    search = SEARCHES[name](seed, landscape)
    return FakeTune(landscape, search, seed, budget, landscape.classifier_share).run()


def run_all(
    sources: Sequence[str | Path], names: Sequence[str], seeds: int, processes: int
) -> Runs:
    """Run searches on landscapes, see `find_landscape`, under every seed.

    Those of Ray run to their end, and the others up to `MOST_SHARE` of their mean budget.
    """
    runs: Runs = {_name(source): {} for source in sources}
    others = [name for name in names if name != RAY]
    tasks: list[Task] = [
        (source, RAY, seed, math.inf) for source in sources for seed in range(seeds)
    ]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        _run(pool, runs, tasks)
        tasks = []
        for source in sources:
            ends = [run.reports[-1].spent for run in runs[_name(source)][RAY]]
            most = MOST_SHARE * float(np.mean(ends))
            tasks += [(source, name, seed, most) for name in others for seed in range(seeds)]
        _run(pool, runs, tasks)
    return runs


def _run(pool: ProcessPoolExecutor, runs: Runs, tasks: Sequence[Task]) -> None:
    """Add the runs of all tasks."""
    for task, run in zip(tasks, pool.map(run_task, tasks, chunksize=4), strict=True):
        source, name, _, _ = task
        runs[_name(source)].setdefault(name, []).append(run)


def _name(source: str | Path) -> str:
    return source.stem if isinstance(source, Path) else source


def print_table(runs: Runs, console: Console) -> list[float]:
    """Print the comparison, and return the shares of `curves`, one per landscape."""
    table = Table(
        "landscape",
        "search",
        "regret",
        "of the model",
        "share of Ray's budget",
        "95%",
        "ms per trial",
        box=box.SIMPLE,
    )
    shares = []
    for landscape, search_runs in runs.items():
        for row in compare(search_runs):
            low, high = row.interval
            table.add_row(
                landscape,
                row.search,
                f"{row.regret:.4f}",
                f"{row.model_regret:.4f}",
                format_share(row.share),
                f"{format_share(low)} to {format_share(high)}",
                f"{1000 * row.proposal_s:.0f}",
            )
            if row.search == CURVES:
                shares.append(row.share)
    console.print(table)
    return shares


def format_share(share: float) -> str:
    """Return a share with two decimals; a dash if it is not reached."""
    return f"{share:.2f}" if share < math.inf else "–"


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--withheld", action="store_true", help="the landscapes on which nothing is tuned, too"
    )
    parser.add_argument(
        "--recorded", type=Path, nargs="+", help="recorded curves, instead of all landscapes"
    )
    parser.add_argument("--searches", nargs="+", choices=SEARCHES, default=list(SEARCHES))
    options = parser.parse_args()
    landscapes = LANDSCAPES + WITHHELD_LANDSCAPES if options.withheld else LANDSCAPES
    sources = options.recorded or [landscape.name for landscape in landscapes]
    names = [RAY, *(name for name in options.searches if name != RAY)]
    runs = run_all(sources, names, options.seeds, options.processes)
    console = Console(width=130)
    shares = print_table(runs, console)
    if shares:
        console.print(
            f"{CURVES}: worst {max(shares):.2f}, median {np.median(shares):.2f} of Ray's budget,"
            f" {options.seeds} seeds"
        )


if __name__ == "__main__":
    main()
