"""Plots of a report over time: learning curves, and what the search added to the start points."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from adaptune.report.markup import Scale, axes, plot, polyline, tag, text, value_scale
from adaptune.report.trials import ReportTrial
from adaptune.spec.distributions import Value
from adaptune.study.objective import format_value

_WIDTH = 720.0
_LEFT, _RIGHT = 62.0, 706.0
_TOP, _BOTTOM = 16.0, 250.0
_HEIGHT = 296.0


def learning_curves(
    trials: Sequence[ReportTrial], epochs: int, rungs: Sequence[int], metric: str
) -> Markup | None:
    """Return the objective by epoch, one line per trial that ends in the symbol of its fate.

    Args:
        epochs: number of epochs of a trial that is not stopped.
        rungs: epochs at which the scheduler decides.

    Returns:
        None if no trial has finished an epoch.
    """
    shown = [trial for trial in trials if trial.curve]
    if not shown:
        return None
    values = [value for trial in shown for value in trial.curve.values()]
    x = Scale(0.5, max(epochs, 1) + 0.5, _LEFT, _RIGHT, is_whole=True)
    y = value_scale(values, _BOTTOM, _TOP)
    parts: list[str] = [axes(x, y, "epoch", value_ticks(y, metric))]
    for rung in rungs:
        parts.append(tag("line", x1=x(rung), x2=x(rung), y1=_TOP, y2=_BOTTOM, class_="rung"))
        parts.append(text(x(rung) + 4, _TOP + 4, "rung", class_="small"))
    for trial in shown:
        points = [(x(epoch), y(value)) for epoch, value in trial.curve.items()]
        line = polyline(points, class_="line")
        hit = polyline(points, class_="hit")
        parts.append(trial.mark(hit, line, trial.symbol(*points[-1], 4.0)))
    return plot("Learning curves: objective by epoch, a line per trial", _WIDTH, _HEIGHT, *parts)


def search_progress(trials: Sequence[ReportTrial], metric: str) -> Markup | None:
    """Return the best objective of each trial in the order of their starts, and the best so far.

    Returns:
        None if no trial has finished an epoch.
    """
    shown = sorted(trials, key=lambda trial: trial.number)
    scored = [(trial, trial.best_value) for trial in shown if trial.best_value is not None]
    if not scored:
        return None
    values = [value for _, value in scored]
    last = max(trial.number for trial in shown)
    x = Scale(-0.5, last + 0.5, _LEFT, _RIGHT, is_whole=True)
    y = value_scale(values, _BOTTOM, _TOP)
    parts: list[str] = [axes(x, y, "trial, in the order of the starts", value_ticks(y, metric))]
    starts = [value for trial, value in scored if trial.trial.is_start_point]
    if starts:
        height = y(max(starts))
        parts.append(tag("line", x1=_LEFT, x2=_RIGHT, y1=height, y2=height, class_="start-line"))
        label = f"best start point {format_value(metric, max(starts))}"
        parts.append(text(_RIGHT, height + 15, label, text_anchor="end", class_="small"))
    best = -float("inf")
    steps: list[tuple[float, float]] = []
    for trial, value in scored:
        if value > best:
            if steps:
                steps.append((x(trial.number), steps[-1][1]))
            steps.append((x(trial.number), y(value)))
            best = value
    steps.append((_RIGHT, steps[-1][1]))
    parts.append(polyline(steps, class_="best-so-far"))
    for trial, value in scored:
        parts.append(trial.mark(trial.symbol(x(trial.number), y(value))))
    return plot("Best objective of each trial in order", _WIDTH, _HEIGHT, *parts)


def value_ticks(scale: Scale, metric: str, count: int = 5) -> dict[Value, str]:
    """Return labels of the axis of the objective: percentages, or scores of a validator."""
    values = scale.round_values(count)
    is_whole = all(abs(100 * value - round(100 * value)) < 1e-6 for value in values)
    digits = 0 if is_whole else 1
    labels: dict[Value, str] = {}
    for value in values:
        label = format_value(metric, value)
        labels[value] = f"{100 * value:.{digits}f}%" if label.endswith("%") else f"{value:.4g}"
    return labels
