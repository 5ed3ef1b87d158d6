"""Facts about recorded curves: how well they can be predicted, and how early.

    python benchmarks/curve_facts.py FILE…

For each file that record_curves.py wrote:

- R² of models that predict the log odds of a group from those of all others, after each epoch;
- Kendall's τ between the accuracies after an epoch and those of the best epochs, over all trials of
  a seed, with a 95% interval of a bootstrap over the groups, and over trials that share a GAN; the
  same between the losses after an epoch and the best accuracies;
- shares of the settings, the seed and chance in the variance of the log odds of the accuracies;
- share of each setting alone in the variance of the model.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from curve_design import sobol_points
from curve_surrogate import Surrogate, best_model, explained, left_out_by_all
from curve_table import Curves, read_curves
from curve_variance import cube, jitter, log_odds, variances, without_seed_effects
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table
from scipy.stats import kendalltau

from adaptune.curves.kernel import Array

_RESAMPLES = 200
_BACKGROUND = 256
_GRID = 16


def kendall(first: Array, second: Array) -> float:
    """Return Kendall's τ of two rankings (T,); NaN if one has ties only, or fewer than two."""
    if len(set(first)) < 2 or len(set(second)) < 2:
        return math.nan
    return float(kendalltau(first, second).statistic)


def agreement(curves: Curves, scores: Array) -> float:
    """Return the mean τ of the seeds between scores (T,) and the accuracies of the best epochs."""
    best = curves.accuracies.max(axis=1)
    return _mean_tau(scores, best, curves.seeds)


def agreement_in_groups(curves: Curves, scores: Array) -> float:
    """Return the same over the trials that share a GAN, as the mean of the groups."""
    best = curves.accuracies.max(axis=1)
    gans = curves.seeds * (curves.groups.max() + 1) + curves.groups
    return _mean_tau(scores, best, gans)


def agreement_interval(curves: Curves, scores: Array) -> tuple[float, float]:
    """Return the 95% interval of `agreement`, from a bootstrap over the groups."""
    rows_of = [np.flatnonzero(curves.groups == group) for group in np.unique(curves.groups)]
    random = np.random.default_rng(0)
    taus = []
    for _ in range(_RESAMPLES):
        drawn = random.integers(len(rows_of), size=len(rows_of))
        rows = np.concatenate([rows_of[index] for index in drawn])
        best = curves.accuracies[rows].max(axis=1)
        taus.append(_mean_tau(scores[rows], best, curves.seeds[rows]))
    low, high = np.nanquantile(taus, [0.025, 0.975])
    return float(low), float(high)


def _mean_tau(scores: Array, best: Array, parts: NDArray[np.int64]) -> float:
    """Return the mean τ over the parts of trials; NaN if none is defined."""
    taus = []
    for part in np.unique(parts):
        tau = kendall(scores[parts == part], best[parts == part])
        if not math.isnan(tau):
            taus.append(tau)
    return float(np.mean(taus)) if taus else math.nan


def agreement_of_seeds(curves: Curves) -> float | None:
    """Return the mean τ between the best accuracies under two seeds; None without shared groups.

    No epoch of one seed can rank the settings better than their ends under another one do.
    """
    best = cube(curves, curves.accuracies).max(axis=3)
    best = best.reshape(len(best), -1)
    if len(best) < 2 or not best.size:
        return None
    taus = []
    for index, first in enumerate(best):
        taus += [kendall(first, second) for second in best[index + 1 :]]
    return float(np.mean(taus))


def importance(curves: Curves, model: str) -> dict[str, float]:
    """Return the share of each setting alone in the variance of a model's best epochs, by path.

    These are the first-order Sobol indices; what is missing from a sum of 1 are interactions.
    """
    surrogate = Surrogate(curves, model)
    space = curves.recipe.spec().space
    background = sobol_points(len(space), seed=3, count=_BACKGROUND)
    total = surrogate.curves(background).max(axis=1).var()
    shares = {}
    for index, path in enumerate(space):
        means = []
        for position in (np.arange(_GRID) + 0.5) / _GRID:
            positions = background.copy()
            positions[:, index] = position
            means.append(surrogate.curves(positions).max(axis=1).mean())
        shares[path] = float(np.var(means) / total) if total > 0 else math.nan
    return shares


def epoch_table(curves: Curves, predictions: Mapping[str, Array]) -> Table:
    """Return the figures of each epoch.

    Args:
        predictions: log odds that each model predicts for groups it has not seen.
    """
    models = [f"R², {name}" for name in predictions]
    agreements = ["τ with the best", "95%", "τ of the loss", "τ in groups"]
    table = Table("epoch", "mean", "std", *models, *agreements, box=box.SIMPLE)
    values = without_seed_effects(curves)
    r2 = [explained(values, prediction) for prediction in predictions.values()]
    for index in range(curves.epochs):
        scores = curves.accuracies[:, index]
        low, high = agreement_interval(curves, scores)
        table.add_row(
            str(index + 1),
            f"{scores.mean():.3f}",
            f"{scores.std():.3f}",
            *(f"{of_model[index]:.2f}" for of_model in r2),
            f"{agreement(curves, scores):.2f}",
            f"{low:.2f} to {high:.2f}",
            f"{agreement(curves, -curves.losses[:, index]):.2f}",
            f"{agreement_in_groups(curves, scores):.2f}",
        )
    return table


def variance_table(curves: Curves) -> Table | None:
    """Return the shares of variance after each epoch; None unless two seeds share two groups."""
    table = Table(
        "epoch",
        "std",
        "λ of generators",
        "λ of classifiers",
        "seed",
        "seed × GAN",
        "rest",
        box=box.SIMPLE,
    )
    values = cube(curves, log_odds(curves))
    for epoch in range(1, curves.epochs + 1):
        parts = variances(values[..., epoch - 1])
        if parts is None:
            return None
        components = (parts.generators, parts.classifiers, parts.seed, parts.gan, parts.chance)
        shares = [f"{100 * part / parts.total:.0f}%" for part in components if parts.total]
        table.add_row(str(epoch), f"{math.sqrt(parts.total):.3f}", *shares)
    return table


def print_facts(path: Path, console: Console) -> None:
    """Print all facts about the curves of a file."""
    curves = read_curves(path)
    seeds = sorted(set(curves.seeds.tolist()))
    groups = len(set(curves.groups.tolist()))
    if groups < 2:
        raise SystemExit(f"{path} has one group, which nothing can be compared with: record more")
    console.print(
        f"{path.stem}: {len(curves.seeds)} trials of {groups} groups, seeds {seeds},"
        f" {curves.failed} failed; best accuracy {curves.accuracies.max():.3f}"
    )
    predictions = left_out_by_all(curves)
    console.print(epoch_table(curves, predictions))
    table = variance_table(curves)
    if table is None:
        console.print("The share of the seed is unknown: no two groups ran under two seeds.")
    else:
        shared = cube(curves, curves.accuracies).shape[1]
        console.print(f"Shares of the variance of log odds, {shared} groups under all seeds")
        console.print(table)
        console.print(f"τ between the ends of two seeds: {agreement_of_seeds(curves):.2f}")
    accuracy = curves.accuracies.mean()
    counting = math.sqrt(accuracy * (1 - accuracy) / curves.recipe.images)
    console.print(
        f"Jitter from epoch to epoch: {jitter(curves.accuracies):.4f};"
        f" independent draws of {curves.recipe.images} images would give {counting:.4f}"
    )
    console.print(f"f_T has {curves.classifier_share:.0%} of the time of a single trial")
    model = best_model(curves, predictions)
    shares = [f"{name} {share:.2f}" for name, share in importance(curves, model).items()]
    console.print(f"Model of the replay: {model}. Importance: {', '.join(shares)}")


def main() -> None:
    """Print the facts of all files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", type=Path, nargs="+")
    console = Console(width=150, highlight=False)
    for file in parser.parse_args().files:
        print_facts(file, console)


if __name__ == "__main__":
    main()
