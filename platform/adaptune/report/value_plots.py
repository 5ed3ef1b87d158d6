"""Plots of the searched values: response, importance and parallel coordinates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from adaptune.evaluation.importance import CommonEpoch, Importance, response
from adaptune.report.curve_plots import value_ticks
from adaptune.report.markup import (
    Scale,
    axes,
    plot,
    polyline,
    scale_of,
    tag,
    text,
    value_scale,
)
from adaptune.report.trials import ReportTrial
from adaptune.spec.distributions import Distribution, Value
from adaptune.study.objective import format_value

_POINTS = 40
_FEWEST_FOR_BAND = 6


def response_plots(
    trials: Sequence[ReportTrial],
    space: Mapping[str, Distribution],
    names: Mapping[str, str],
    common: CommonEpoch,
    seed: int,
) -> list[Markup]:
    """Return a plot per searched value: the objectives of all trials at the common epoch.

    Args:
        names: name of each value for a reader.
        seed: seed of the resamples.
    """
    shown = [trial for trial in trials if trial.number in common.objectives]
    if not shown:
        return []
    y = value_scale(list(common.objectives.values()), 190.0, 14.0)
    plots = []
    for path, distribution in space.items():
        x = scale_of(distribution, 56.0, 326.0)
        drawn = [trial for trial in shown if path in trial.values]
        parts: list[str] = [axes(x, y, names[path], value_ticks(y, shown[0].metric))]
        if not x.names and len(drawn) >= _FEWEST_FOR_BAND:
            parts.append(_band(drawn, path, x, y, common, seed))
        for trial in drawn:
            value = common.objectives[trial.number]
            where = x(trial.values[path]), y(value)
            tip = f"{names[path]} {_short(trial.values[path])}, {format_value(trial.metric, value)}"
            parts.append(trial.mark(trial.symbol(*where), tip=f"{tip} in epoch {common.epoch}"))
        label = f"Objective in epoch {common.epoch} by {names[path]}"
        plots.append(plot(label, 340.0, 236.0, *parts))
    return plots


def importance_plot(
    importances: Mapping[str, Importance], names: Mapping[str, str]
) -> Markup | None:
    """Return a bar per searched value with its interval; None if nothing is known."""
    if not importances:
        return None
    height = 34.0 * len(importances) + 44
    x = Scale(0, 1, 130.0, 690.0)
    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(
            tag("line", x1=x(share), x2=x(share), y1=4, y2=height - 38, class_="grid-line")
        )
        parts.append(text(x(share), height - 20, f"{share:.0%}", text_anchor="middle"))
    for index, (path, importance) in enumerate(importances.items()):
        top = 8 + 34.0 * index
        middle = top + 10
        width = x(importance.share) - x(0)
        parts.append(text(120, middle + 4, names[path], text_anchor="end"))
        parts.append(tag("rect", x=x(0), y=top, width=width, height=20, class_="bar"))
        parts.append(whisker(x(importance.low), x(importance.high), middle))
    label = "; ".join(f"{names[path]} {value.share:.0%}" for path, value in importances.items())
    return plot(f"Importance: {label}", 720, height, *parts, role="img")


def whisker(low: float, high: float, y: float) -> Markup:
    """Return an interval from pixel to pixel with caps."""
    d = f"M{low:.1f} {y}H{high:.1f}M{low:.1f} {y - 4}v8M{high:.1f} {y - 4}v8"
    return tag("path", d=d, class_="whisker")


def parallel_coordinates(
    trials: Sequence[ReportTrial],
    space: Mapping[str, Distribution],
    names: Mapping[str, str],
    metric: str,
) -> Markup | None:
    """Return a line per trial through its values, and last through its best objective.

    Returns:
        None if nothing is searched or no trial has finished an epoch.
    """
    shown = [trial for trial in trials if trial.best_value is not None]
    if not space or not shown:
        return None
    top, bottom, pitch = 34.0, 240.0, 130.0
    width = 130 + pitch * len(space)
    scales = {path: scale_of(distribution, bottom, top) for path, distribution in space.items()}
    best_values = [trial.best_value for trial in shown if trial.best_value is not None]
    outcome = value_scale(best_values, bottom, top)
    end = 60 + pitch * len(space)
    lines, labels = [_axis_line(end, outcome)], []
    for index, (path, scale) in enumerate(scales.items()):
        x = 60 + pitch * index
        lines.append(_axis_line(x, scale))
        labels.append(_axis_labels(x, scale, scale.ticks(4), names[path]))
    ticks = value_ticks(outcome, metric, 4)
    labels.append(_axis_labels(end, outcome, ticks, "best objective", is_last=True))
    parts = [tag("g", *lines, aria_hidden="true")]
    for trial in shown:
        points = []
        for index, (path, scale) in enumerate(scales.items()):
            if path in trial.values:
                points.append((60 + pitch * index, scale(trial.values[path])))
        points.append((end, outcome(trial.best_value)))
        line = polyline(points, class_="line")
        hit = polyline(points, class_="hit")
        parts.append(trial.mark(hit, line, trial.symbol(*points[-1], 4.0)))
    parts.append(tag("g", *labels, class_="labels", aria_hidden="true"))
    label = "Parallel coordinates: searched values and best objective, a line per trial"
    return plot(label, width, 262.0, *parts)


def _axis_line(x: float, scale: Scale) -> Markup:
    return tag("line", x1=x, x2=x, y1=scale.start, y2=scale.end, class_="axis-line")


def _axis_labels(
    x: float, scale: Scale, labels: Mapping[Value, str], name: str, *, is_last: bool = False
) -> Markup:
    """Return the labels of a vertical axis: left of it, where they hide the lines least."""
    side, anchor = (x + 10, "start") if is_last else (x - 6, "end")
    parts = [text(x, scale.end - 16, name, text_anchor="middle", class_="strong")]
    for value, label in labels.items():
        parts.append(text(side, scale(value) + 4, label, text_anchor=anchor, class_="halo"))
    return tag("g", *parts)


def _band(
    trials: Sequence[ReportTrial],
    path: str,
    x: Scale,
    y: Scale,
    common: CommonEpoch,
    seed: int,
) -> Markup:
    length = x.end - x.start
    positions = np.array([(x(trial.values[path]) - x.start) / length for trial in trials])
    objectives = np.array([common.objectives[trial.number] for trial in trials])
    at = np.linspace(positions.min(), positions.max(), _POINTS)
    low, high = response(positions, objectives, at, seed)
    pixels = x.start + at * length
    upper = [(float(px), y(float(value))) for px, value in zip(pixels, high, strict=True)]
    lower = [(float(px), y(float(value))) for px, value in zip(pixels, low, strict=True)]
    return polyline([*upper, *reversed(lower)], class_="band")


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
