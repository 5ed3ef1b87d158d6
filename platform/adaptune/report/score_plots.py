"""Plots of the held-out test: scores of all models with intervals, and confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from adaptune.evaluation.summary import Summary
from adaptune.evaluation.summary_scores import (
    MODELS,
    accuracies_by_model,
    model_key,
    verdict_metric_name,
)
from adaptune.evaluation.test_scores import ADAPTED
from adaptune.report.markup import Scale, plot, tag, text
from adaptune.report.table import Table
from adaptune.report.value_plots import whisker
from adaptune.text import escape_control
from adaptune.training.bootstrap import Estimate
from adaptune.training.metrics import ACCURACY, METRICS
from adaptune.training.significance import accuracy_interval


def scores_plot(summary: Summary) -> Markup | None:
    """Return the test score of each model with its 95% interval; None without target labels.

    The score is the accuracy, or the metric that the verdict compares.
    """
    scores = test_scores(summary)
    if ADAPTED not in scores:
        return None
    metric = verdict_metric_name(summary) or METRICS[ACCURACY]
    low = min(estimate.ci95[0] for estimate in scores.values())
    height = 34.0 * len(scores) + 52
    x = Scale(max(0.0, min(low - 0.02, 0.98)), 1.0, 150.0, 690.0)
    parts = []
    for value in x.round_values(6):
        line = tag("line", x1=x(value), x2=x(value), y1=4, y2=height - 46, class_="grid-line")
        parts += [line, text(x(value), height - 28, f"{value:.0%}", text_anchor="middle")]
    label = f"{metric} on target_test, {summary.target_test_size} images, with 95% intervals"
    parts.append(text(420, height - 8, label, text_anchor="middle"))
    for index, (name, estimate) in enumerate(scores.items()):
        middle = 22 + 34.0 * index
        fate = "best" if name == ADAPTED else "baseline"
        parts.append(text(140, middle + 4, name, text_anchor="end", class_="strong"))
        parts.append(whisker(x(estimate.ci95[0]), x(estimate.ci95[1]), middle))
        dot = tag("circle", cx=x(estimate.value), cy=middle, r=6, class_="solid")
        parts.append(tag("g", dot, class_=fate))
        where = x(estimate.value), middle - 9
        parts.append(text(*where, f"{estimate.value:.1%}", text_anchor="middle", class_="halo"))
    described = "; ".join(f"{name} {estimate.value:.1%}" for name, estimate in scores.items())
    return plot(f"{label}: {described}", 720, height, *parts, role="img")


def test_scores(summary: Summary) -> dict[str, Estimate]:
    """Return the compared score of each model on the held-out test, with its 95% interval."""
    metric = summary.verdict_metric or ACCURACY
    size = summary.target_test_size
    scores = {}
    for name in MODELS:
        stored = (summary.test_metrics or {}).get(model_key(name), {}).get(metric)
        accuracy = accuracies_by_model(summary).get(name)
        if stored is not None:
            scores[name] = stored
        elif metric == ACCURACY and accuracy is not None and size:
            scores[name] = Estimate(accuracy, accuracy_interval(round(accuracy * size), size))
    return scores


def confusion_matrix(counts: Sequence[Sequence[int]], names: Sequence[str], caption: str) -> Markup:
    """Return a table of the images by class (rows) and prediction (columns).

    The shade of a cell is its share of its row.
    """
    corner = tag("td", "class ↓ predicted →")
    header = tag("tr", corner, *(tag("th", name, scope="col") for name in names))
    rows = []
    for label, (name, row) in enumerate(zip(names, counts, strict=True)):
        total = max(sum(row), 1)
        cells = []
        for predicted, count in enumerate(row):
            share = count / total
            kind = "hit" if predicted == label else "miss"
            style = f"--share:{share:.2f}" if count else None
            cells.append(tag("td", str(count or ""), class_=kind, style=style))
        rows.append(tag("tr", tag("th", name, scope="row"), *cells))
    title = tag("caption", caption)
    head, body = tag("thead", header), tag("tbody", *rows)
    return tag("table", title, head, body, class_="confusion")


def confusion_matrices(summary: Summary) -> list[Markup]:
    """Return the matrices before and after adaptation; empty if they are not known."""
    names = [escape_control(name) for name in summary.target_test_recall or {}]
    matrices = []
    for model, caption in (("source_only", "before: source only"), ("adapted", "after: adapted")):
        counts = (summary.target_test_confusion or {}).get(model)
        if counts is not None:
            matrices.append(confusion_matrix(counts, names, caption))
    return matrices


def class_rows(summary: Summary) -> Table:
    """Return the accuracy of the exported model per class, and before the adaptation if known."""
    before = (summary.target_test_confusion or {}).get("source_only")
    rows = []
    for label, (name, estimate) in enumerate((summary.target_test_recall or {}).items()):
        cells = [escape_control(name)]
        if before is not None:
            total = sum(before[label])
            cells.append(f"{100 * before[label][label] / total:.1f}" if total else "no image")
        cells.append("no image" if estimate is None else estimate.in_percent())
        rows.append(tuple(cells))
    header = ("class", "before, %", "after, %") if before is not None else ("class", "after, %")
    return Table(header, rows)
