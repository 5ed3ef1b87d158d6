"""Plots of a report, as SVG that can be embedded in a page."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from adaptune.evaluation.summary import Summary
from adaptune.evaluation.summary_scores import (
    accuracies_by_model,
    verdict_estimates,
    verdict_metric_name,
)
from adaptune.evaluation.test_scores import ADAPTED
from adaptune.report.svg import to_svg
from adaptune.spec.distributions import Distribution, LogUniform, Value
from adaptune.spec.schema import SearchSpec
from adaptune.study.study import SearchStudy
from adaptune.study.trial import StudyTrial
from adaptune.training.metrics import ACCURACY, METRICS

BEST_COLOUR = "#c2410c"
COMPLETE_COLOUR = "#2563eb"
STOPPED_COLOUR = "#9ca3af"
BASELINE_COLOUR = "#64748b"
_COLUMNS = 3


def accuracies_figure(summary: Summary) -> str | None:
    """Return the test scores of all models, or None without target labels.

    They are the accuracies, or the metric that the verdict compares.
    """
    scores = accuracies_by_model(summary)
    interval = summary.target_test_ci95
    estimates = verdict_estimates(summary)
    if estimates:
        scores = {name: estimate.value for name, estimate in estimates.items()}
        interval = estimates[ADAPTED].ci95
    if ADAPTED not in scores or interval is None:
        return None
    names = list(scores)
    values = list(scores.values())
    colours = [BEST_COLOUR if name == ADAPTED else BASELINE_COLOUR for name in names]
    figure = Figure(figsize=(7, 0.5 + 0.4 * len(names)), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(names, values, color=colours)
    labels = [f" {value:.1%}" for value in values]
    axes.bar_label(bars, labels, label_type="center", color="white")
    adapted = scores[ADAPTED]
    error = [[adapted - interval[0]], [interval[1] - adapted]]
    axes.errorbar(adapted, ADAPTED, xerr=error, color="black", capsize=3)
    axes.set_xlim(min(0.5, *values) - 0.02, 1)
    axes.invert_yaxis()
    metric = verdict_metric_name(summary) or METRICS[ACCURACY]
    axes.set_xlabel(f"{metric} on target_test, {summary.target_test_size} samples")
    return to_svg(figure)


def curves_figure(study: SearchStudy, epochs: int, best: int | None) -> str:
    """Return the objective by epoch, with one line per trial.

    Args:
        epochs: number of epochs of a trial that is not stopped.
        best: number of the exported trial.
    """
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    for trial in study.started_trials():
        curve = trial.curve
        colour = _colour(trial, epochs, best)
        axes.plot(
            list(curve),
            list(curve.values()),
            "o-",
            markersize=3,
            color=colour,
            zorder=_zorder(trial, best),
        )
    axes.set_xlabel("epoch")
    axes.set_ylabel(study.metric)
    axes.set_xlim(0.5, epochs + 0.5)
    return to_svg(figure)


def values_figure(study: SearchStudy, spec: SearchSpec, best: int | None) -> str | None:
    """Return each searched value against the best objective of its trial.

    Args:
        best: number of the exported trial.

    Returns:
        None if nothing is searched.
    """
    space = spec.space
    if not space:
        return None
    rows = -(-len(space) // _COLUMNS)
    figure = Figure(figsize=(8, 2.4 * rows), layout="constrained")
    grid = list(figure.subplots(rows, _COLUMNS, squeeze=False, sharey=True).flat)
    trials = study.started_trials()
    for axes, (path, distribution) in zip(grid, space.items(), strict=False):
        for trial in trials:
            if trial.curve and path in trial.values:
                axes.plot(
                    [_coordinate(trial.values[path])],
                    [max(trial.curve.values())],
                    "o",
                    clip_on=False,
                    color=_colour(trial, spec.epochs, best),
                    zorder=_zorder(trial, best),
                )
        _set_scale(axes, distribution)
        axes.set_xlabel(path.removeprefix("loss_weights."))
    for axes in grid[len(space) :]:
        axes.set_visible(False)
    figure.supylabel(f"best {study.metric}", fontsize="medium")
    return to_svg(figure)


def _set_scale(axes: Axes, distribution: Distribution) -> None:
    if isinstance(distribution, LogUniform):
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(distribution.low, distribution.high)


def _colour(trial: StudyTrial, epochs: int, best: int | None) -> str:
    if trial.number == best:
        return BEST_COLOUR
    return COMPLETE_COLOUR if trial.last_epoch >= epochs else STOPPED_COLOUR


def _zorder(trial: StudyTrial, best: int | None) -> int:
    return 3 if trial.number == best else 2


def _coordinate(value: Value) -> float | str:
    """Return the position on an axis; names and truth values are categories."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    return str(value)
