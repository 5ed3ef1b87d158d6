"""Tables of an inspection of the data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from adaptune.data.copies import Copy
from adaptune.data.inspected_pair import PARTS, InspectedPair
from adaptune.data.statistics import ImageStatistics
from adaptune.report.data_findings import describe_similarity
from adaptune.report.table import Table
from adaptune.text import escape_control


def counts_table(pair: InspectedPair) -> Table:
    """Return the number of images by class and part, with a last row of the sums."""
    # A domain that cannot be split has one part.
    parts = [part for part in ("source", *PARTS[:2], "target", *PARTS[2:]) if part in pair.parts]
    rows = []
    totals = np.zeros(len(parts), dtype=np.int64)
    for class_name in (*pair.class_names, None):
        counts = [pair.count(part, class_name) for part in parts]
        if class_name is None and not any(counts):
            continue
        totals += counts
        name = "unlabelled" if class_name is None else escape_control(class_name)
        rows.append((name, *_numbers(counts)))
    rows.append(("all", *_numbers(totals.tolist())))
    return Table(("class", *parts), rows)


def stored_table(pair: InspectedPair) -> Table:
    """Return the forms of the images of each domain as they are stored."""
    rows = []
    for role, domain in (("source", pair.source), ("target", pair.target)):
        forms = domain.stored_forms()
        sizes = ["unknown"] * 3
        if len(forms.sizes):
            chosen = forms.sizes[[0, len(forms.sizes) // 2, -1]]
            sizes = [f"{width} × {height}" for width, height in chosen]
        descriptions = []
        for form, count in forms.forms.most_common():
            descriptions.append(f"{count:,} {form}" if len(forms.forms) > 1 else form)
        unreadable = f"{len(domain.unreadable):,}"
        rows.append((role, f"{len(domain):,}", *sizes, "; ".join(descriptions), unreadable))
    header = ("domain", "images", "smallest, px", "median", "largest", "stored as", "unreadable")
    return Table(header, rows)


def statistics_table(pair: InspectedPair) -> Table:
    """Return brightness and colour of each domain in grey levels, 0 to 255."""
    rows = [
        _statistics_row("source", pair.source_statistics),
        _statistics_row("target", pair.target_statistics),
    ]
    header = ("domain", "mean of each channel", "deviation", "contrast of an image", "saturation")
    return Table(header, rows)


def copy_lines(pair: InspectedPair, copies: Sequence[Copy]) -> list[str]:
    """Return one line per pair of copies: where each of the two is, and how similar they are."""
    lines = []
    for copy in copies:
        second = escape_control(pair.image_name(copy.second))
        lines.append(
            f"{pair.parts[copy.first]} {escape_control(pair.image_name(copy.first))} is in"
            f" {pair.parts[copy.second]}: {second} ({describe_similarity(copy)})"
        )
    return lines


def _statistics_row(role: str, statistics: ImageStatistics) -> tuple[str, ...]:
    return (
        role,
        " / ".join(f"{value:.0f}" for value in statistics.mean),
        " / ".join(f"{value:.0f}" for value in statistics.deviation),
        f"{statistics.contrast:.0f}",
        f"{statistics.saturation:.0f}",
    )


def _numbers(counts: Sequence[int]) -> list[str]:
    return [f"{count:,}" if count else "–" for count in counts]
