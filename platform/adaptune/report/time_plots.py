"""Plots of a report on time: the trials on the runners, and the device-seconds by fate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from adaptune.report.markup import Scale, plot, tag, text
from adaptune.report.trials import FATES, ReportTrial

_LEFT, _RIGHT, _WIDTH = 62.0, 706.0, 720.0


@dataclass(frozen=True)
class _Span:
    trial: ReportTrial
    start: float  # seconds since the epoch of Unix
    end: float


def timeline(trials: Sequence[ReportTrial]) -> Markup | None:
    """Return the trials from start to end; those that ran side by side are below each other.

    A row stands for a runner: the study does not record which runner a trial had, but a row is
    free for the next trial when its trial has ended. A trial that still runs ends with the last
    time in the study.

    Returns:
        None if no trial has started.
    """
    spans = _spans(trials)
    if not spans:
        return None
    first = min(span.start for span in spans)
    total_s = max(span.end for span in spans) - first or 1.0
    unit, name = _unit(total_s)
    x = Scale(0, total_s / unit, _LEFT, _RIGHT)
    rows = _rows(spans)
    height = max(20.0, 9.0 * max(span.trial.trial.group_size for span in spans))
    parts = []
    for span in spans:
        row, place, size = rows[span.trial.number]
        left, right = x((span.start - first) / unit), x((span.end - first) / unit)
        top = 6 + (height + 4) * row + height * place / size
        width = max(right - left - 1, 2.0)
        box = tag("rect", x=left, y=top, width=width, height=height / size - 1, class_="span")
        number = ""
        if width > 22 and size == 1:
            number = text(left + 4, top + 14, str(span.trial.number), class_="in-bar")
        parts.append(span.trial.mark(box, number, tip=f"{span.end - span.start:.0f} s"))
    count = 1 + max(row for row, _, _ in rows.values())
    bottom = 6 + (height + 4) * count
    ticks = []
    for row in range(count):
        middle = 6 + (height + 4) * row + height / 2 + 4
        ticks.append(text(_LEFT - 6, middle, f"{row + 1}", text_anchor="end"))
    for value, label in x.ticks(8).items():
        ticks.append(text(x(value), bottom + 16, label, text_anchor="middle"))
    ticks.append(text((_LEFT + _RIGHT) / 2, bottom + 34, name, text_anchor="middle"))
    hidden = tag("g", *ticks, class_="axes", aria_hidden="true")
    return plot("Timeline: trials by time and row", _WIDTH, bottom + 42, hidden, *parts)


def device_seconds(costs: Mapping[str, float]) -> Markup | None:
    """Return a bar of the device-seconds by fate; None if none were spent.

    Args:
        costs: device-seconds by `complete`, `stopped`, `failed` and `overhead`.
    """
    total = sum(costs.values())
    if total <= 0:
        return None
    parts, left = [], 0.0
    for fate, seconds in costs.items():
        width = 720 * seconds / total
        if width <= 0:
            continue
        parts.append(tag("rect", x=left, y=0, width=width, height=26, class_=f"span {fate}"))
        label = f"{FATES.get(fate, fate)} {seconds / total:.0%}"
        if width > 6.6 * len(label) + 10:
            parts.append(text(left + 6, 18, label, class_="in-bar"))
        left += width
    described = "; ".join(f"{FATES.get(fate, fate)} {costs[fate]:.0f} s" for fate in costs)
    label = f"Device-seconds by fate: {described}"
    return tag("svg", *parts, class_="plot", viewBox="-1 -1 722 28", role="img", aria_label=label)


def _spans(trials: Sequence[ReportTrial]) -> list[_Span]:
    """Return the trials with their times, the first one first."""
    times = []
    for trial in trials:
        frozen = trial.trial.optuna_trial
        times += [time for time in (frozen.datetime_start, frozen.datetime_complete) if time]
    spans = []
    for trial in trials:
        frozen = trial.trial.optuna_trial
        if frozen.datetime_start is not None:
            end = frozen.datetime_complete or max(times)
            spans.append(_Span(trial, frozen.datetime_start.timestamp(), end.timestamp()))
    return sorted(spans, key=lambda span: (span.start, span.trial.number))


def _rows(spans: Sequence[_Span]) -> dict[int, tuple[int, int, int]]:
    """Return row, place in the row, and number of places by trial.

    The trials of a group share a row, because they share a runner.
    """
    groups: dict[int, list[_Span]] = {}
    for span in spans:
        groups.setdefault(span.trial.trial.leader, []).append(span)
    free: list[float] = []  # end of the last group in each row
    rows = {}
    for members in groups.values():
        start = min(span.start for span in members)
        end = max(span.end for span in members)
        row = next((row for row, until in enumerate(free) if until <= start), len(free))
        free[row : row + 1] = [end]
        for place, span in enumerate(members):
            rows[span.trial.number] = row, place, len(members)
    return rows


def _unit(total_s: float) -> tuple[float, str]:
    if total_s > 2 * 3600:
        return 3600.0, "hours since the first trial"
    if total_s > 180:
        return 60.0, "minutes since the first trial"
    return 1.0, "seconds since the first trial"
