"""The plots of a report, each as SVG that can stand in a page."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import optuna
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from optuna.trial import FrozenTrial

from adaptune.evaluation.summary import MODELS
from adaptune.search import study as studies
from adaptune.spec.distributions import LogUniform, Value
from adaptune.spec.schema import SearchSpec

BEST, COMPLETE, STOPPED, RIVAL = "#c2410c", "#2563eb", "#9ca3af", "#64748b"
_COLUMNS = 3


def accuracies(summary: Mapping[str, Any]) -> str | None:
    """The models on the sealed test, the adapted one with its 95% interval; None without labels to score by."""
    known = {name: summary[key] for name, key in MODELS.items() if summary.get(key) is not None}
    if "adapted" not in known:
        return None
    figure = Figure(figsize=(7, 0.5 + 0.4 * len(known)), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(
        list(known), list(known.values()), color=[BEST if n == "adapted" else RIVAL for n in known]
    )
    axes.bar_label(
        bars, [f" {value:.1%}" for value in known.values()], label_type="center", color="white"
    )
    low, high = summary["target_test_ci95"]
    adapted = known["adapted"]
    axes.errorbar(
        adapted, "adapted", xerr=[[adapted - low], [high - adapted]], color="black", capsize=3
    )
    axes.set_xlim(min(0.5, *known.values()) - 0.02, 1)
    axes.invert_yaxis()
    axes.set_xlabel(f"accuracy on target_test, {summary['target_test_size']} samples")
    return _svg(figure)


def curves(study: optuna.Study, spec: SearchSpec, best: int | None) -> str:
    """What guided the search, epoch by epoch: a line a trial."""
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    for trial in studies.started(study):
        epochs = studies.curve(trial)
        axes.plot(
            list(epochs), list(epochs.values()), "o-", markersize=3, **_look(trial, spec, best)
        )
    axes.set_xlabel("epoch")
    axes.set_ylabel(spec.search.metric)
    axes.set_xlim(0.5, spec.training.epochs + 0.5)
    return _svg(figure)


def values(study: optuna.Study, spec: SearchSpec, best: int | None) -> str | None:
    """Each searched value against the best that its trial reached; None where nothing is searched."""
    if not spec.space:
        return None
    rows = -(-len(spec.space) // _COLUMNS)
    figure = Figure(figsize=(8, 2.4 * rows), layout="constrained")
    grid = list(figure.subplots(rows, _COLUMNS, squeeze=False, sharey=True).flat)
    for axes, (path, distribution) in zip(grid, spec.space.items(), strict=False):
        for trial in studies.started(study):
            reached = studies.curve(trial).values()
            if reached and path in trial.params:
                axes.plot(
                    [_place(trial.params[path])],
                    [max(reached)],
                    "o",
                    clip_on=False,
                    **_look(trial, spec, best),
                )
        if isinstance(distribution, LogUniform):
            axes.set_xscale("log")
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.set_xlim(distribution.low, distribution.high)
        axes.set_xlabel(path.removeprefix("loss_weights."))
    for axes in grid[len(spec.space) :]:
        axes.set_visible(False)
    figure.supylabel(f"best {spec.search.metric}", fontsize="medium")
    return _svg(figure)


def _look(trial: FrozenTrial, spec: SearchSpec, best: int | None) -> dict[str, Any]:
    if trial.number == best:
        return {"color": BEST, "zorder": 3}
    ran_on = max(studies.curve(trial), default=0) >= spec.training.epochs
    return {"color": COMPLETE if ran_on else STOPPED}


def _place(value: Value) -> float | str:
    """On an axis: names, and true and false, are categories."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _svg(figure: Figure) -> str:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e5e7eb", zorder=0)
        axes.set_axisbelow(True)
    text = io.StringIO()
    # Text as text, and ids that are the same each time: the file changes only with what it shows.
    with mpl.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "adaptune", "font.family": "sans-serif"}
    ):
        figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :]
