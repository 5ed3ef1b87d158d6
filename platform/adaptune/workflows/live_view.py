"""The view of a running search: lines of text that fit the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions
from rich.text import Text

from adaptune.report.tables import STATES
from adaptune.study.job import format_values
from adaptune.study.objective import format_objective, format_value
from adaptune.text import duration
from adaptune.training.metrics import metric_of
from adaptune.workflows.snapshot import Snapshot, TrialView

BARS = "▁▂▃▄▅▆▇█"
_FULL, _EMPTY, _POINT = "━", "─", "●"
_CURVE = 10  # epochs of a curve
_BAR = 8
_COLUMN = 12  # widest column of a searched value
_NARROWEST = 6
_STYLES = {STATES["COMPLETE"]: "green", STATES["FAIL"]: "red"}


class SearchView:
    """A view of a search, as high and as wide as the terminal allows; Rich renders it.

    Args:
        snapshot: the search.
        footer: last line of the view; an empty one is left out.
    """

    def __init__(self, snapshot: Snapshot, footer: str = "") -> None:
        self._snapshot = snapshot
        self._footer = footer

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Yield the lines of the view."""
        # The last line stays free for the cursor. The terminal prints ^C and ^Z behind the view,
        # and must not break a line for them: Rich would not know of it.
        width = options.max_width - len("^C")
        height = options.size.height - 1
        if not self._footer:
            yield from view_lines(self._snapshot, width, height)
            return
        yield from view_lines(self._snapshot, width, height - 2)
        footer = Text(self._footer, style="dim", no_wrap=True, overflow="ellipsis")
        footer.truncate(width, overflow="ellipsis")
        yield from (Text(), footer)


def view_lines(snapshot: Snapshot, width: int, height: int) -> list[Text]:
    """Return the view as lines that are no longer than `width`, and no more than `height`."""
    lines = _head(snapshot, width)
    room = height - len(lines)
    if snapshot.running and room >= 3:
        shown = snapshot.running[: room - 2]
        lines += [Text(), _header(snapshot, width)]
        lines += [_running_line(snapshot, trial, width) for trial in shown]
        room = height - len(lines)
    if snapshot.last_ended and room >= 3:
        shown = snapshot.last_ended[: min(room - 2, 5)]
        lines += [Text(), Text("last ended", style="bold")]
        lines += [_ended_line(snapshot, trial) for trial in shown]
    for line in lines:
        line.no_wrap = True
        line.overflow = "ellipsis"
        line.truncate(width, overflow="ellipsis")
    return lines[:height]


def sparkline(values: Sequence[float]) -> str:
    """Return the last values as bars, from the lowest to the highest of them."""
    shown = [value for value in values[-_CURVE:] if not math.isnan(value)]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((value - low) * scale)] for value in shown)


def gauge(position: float | None, width: int) -> str:
    """Return the place of a value in its range, such as `──●───`."""
    if position is None:
        return " " * width
    place = round(position * (width - 1))
    return _EMPTY * place + _POINT + _EMPTY * (width - 1 - place)


def bar(done: float, width: int) -> str:
    """Return a bar of which a part, from 0 to 1, is done."""
    full = round(min(max(done, 0.0), 1.0) * width)
    return _FULL * full + _EMPTY * (width - full)


def _head(snapshot: Snapshot, width: int) -> list[Text]:
    """Return progress, resources and the best trial."""
    started = sum(min(trial.epoch / snapshot.epochs, 1.0) for trial in snapshot.running)
    done = (snapshot.ended + started) / max(snapshot.total, 1)
    counts = f"  {snapshot.ended} of {snapshot.total} trials  "
    left = f"  {done:4.0%}  {_time_left(snapshot)}"
    title = Text(snapshot.name, style="bold")
    title.append(counts, style="not bold")
    room = min(max(width - len(title) - len(left), 0), 60)
    title.append(bar(done, room), style="cyan not bold")
    title.append(left, style="not bold")
    lines = [title]
    if snapshot.progress is not None:
        progress = snapshot.progress
        nodes = "1 node" if progress.nodes == 1 else f"{progress.nodes} nodes"
        passed = duration(snapshot.now - progress.start)
        spent = duration(snapshot.device_s)
        lines.append(Text(f"{passed} passed, {spent} of training; {nodes}", style="dim"))
        lines.append(Text(progress.plan, style="dim"))
    if snapshot.best is not None:
        lines += _best_lines(snapshot, snapshot.best)
    return lines


def _time_left(snapshot: Snapshot) -> str:
    if snapshot.is_active is False:
        return "not running"
    if snapshot.progress is not None and snapshot.ended >= snapshot.total:
        return "evaluating"
    if snapshot.left_s is None:
        return ""
    return f"about {duration(snapshot.left_s)} left"


def _best_lines(snapshot: Snapshot, best: TrialView) -> list[Text]:
    assert best.best is not None
    line = Text("best so far: ", style="bold")
    objective = format_objective(snapshot.metric, best.best)
    line.append(f"trial {best.number}, epoch {best.best_epoch}, {objective}")
    if snapshot.interval is not None:
        low, high = snapshot.interval
        line.append(f" ({100 * low:.1f} to {100 * high:.1f}, 95%)", style="not bold")
    lines = [line]
    gain = describe_gain(snapshot)
    if gain is not None:
        lines.append(Text(f"  {gain}, the best baseline so far"))
    return [*lines, Text(f"  {format_values(best.values)}")]


def describe_gain(snapshot: Snapshot) -> str | None:
    """Return what the best trial has more than the best baseline that is known so far.

    Returns:
        A phrase such as `+12.3 points over source only (78.9%)`; None if one of the two is unknown.
    """
    if snapshot.best is None or snapshot.best.best is None or snapshot.baseline is None:
        return None
    name, value = snapshot.baseline
    gain = snapshot.best.best - value
    difference = (
        f"{gain:+.4f}" if metric_of(snapshot.metric) is None else f"{100 * gain:+.1f} points"
    )
    return f"{difference} over {name} ({format_value(snapshot.metric, value)})"


def _header(snapshot: Snapshot, width: int) -> Text:
    title = "running" if snapshot.is_active is not False else "to resume"
    text = Text(f"{title:<9} {'epoch':<{_BAR + 7}}  {'best':<7} {'curve':<{_CURVE}}", "bold")
    column = _column(snapshot, width)
    for path in snapshot.paths:
        name = path.split(".")[-1]
        text.append(f" {name[: column - 1]:<{column - 1}}")
    return text


def _running_line(snapshot: Snapshot, trial: TrialView, width: int) -> Text:
    text = Text(f"trial {trial.number:>3} ")
    text.append(bar(trial.epoch / snapshot.epochs, _BAR), style="cyan")
    text.append(f" {f'{trial.epoch}/{snapshot.epochs}':<6}  ")
    value = "" if trial.best is None else format_value(snapshot.metric, trial.best)
    text.append(f"{value:<7} ")
    text.append(f"{sparkline(trial.curve):<{_CURVE}}", style="green")
    column = _column(snapshot, width)
    if trial.note:
        text.append(f" {trial.note}", style="yellow")
        return text
    for position in trial.positions:
        text.append(f" {gauge(position, column - 1)}")
    return text


def _ended_line(snapshot: Snapshot, trial: TrialView) -> Text:
    text = Text(f"trial {trial.number:>3} ")
    text.append(f"{trial.state:<13} ", style=_STYLES.get(trial.state, ""))
    value = "" if trial.best is None else format_value(snapshot.metric, trial.best)
    text.append(f"{f'{trial.epoch}/{snapshot.epochs}':<6}  {value:<7} ")
    text.append(f"{sparkline(trial.curve):<{_CURVE}} ", style="green")
    if trial.note:
        text.append(f"{trial.note}  ", style="yellow")
    text.append(format_values(trial.values), style="dim")
    return text


def _column(snapshot: Snapshot, width: int) -> int:
    """Return the width of the column of a searched value, with a space."""
    before = 10 + _BAR + 1 + 6 + 2 + 8 + _CURVE
    columns = max(len(snapshot.paths), 1)
    return max(min((width - before) // columns, _COLUMN + 1), _NARROWEST)
