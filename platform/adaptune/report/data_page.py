"""The HTML page of an inspection of the data: one self-contained file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from adaptune.data.copies import Copy
from adaptune.data.domain import UNLABELLED
from adaptune.data.inspected_pair import TEST_PART, InspectedPair
from adaptune.data.inspection import InspectedDomain
from adaptune.data.statistics import BINS, ImageStatistics
from adaptune.report import data_tables
from adaptune.report.data_findings import describe_similarity, findings
from adaptune.report.svg import to_svg
from adaptune.report.template import render
from adaptune.results.image_strips import image_uri
from adaptune.seeding import derive_seed
from adaptune.spec.schema import SearchSpec
from adaptune.text import escape_control
from adaptune.version import __version__

_PER_ROW = 8
_MOST_CLASSES = 60
_MOST_PAIRS = 40
_COLOURS = ("#dc2626", "#16a34a", "#2563eb", "#6b7280")


@dataclass(frozen=True)
class _ClassRow:
    name: str
    source: str | None  # data URI of a strip of images, or None if there is no image
    target: str | None


@dataclass(frozen=True)
class _PairRow:
    picture: str  # data URI of both images
    first_part: str
    first_name: str
    second_part: str
    second_name: str
    classes: str
    similarity: str


def data_page(spec: SearchSpec, pair: InspectedPair) -> str:
    """Return the page as HTML."""
    leaks = sorted(pair.leaks, key=_similarity_first)
    others = [copy for copy in pair.copies if not _is_leak(pair, copy)]
    contents = {
        "spec": spec,
        "findings": findings(pair),
        "leaks": _pair_rows(pair, leaks),
        "more_leaks": data_tables.copy_lines(pair, leaks[_MOST_PAIRS:]),
        "copies": _pair_rows(pair, others),
        "more_copies": data_tables.copy_lines(pair, others[_MOST_PAIRS:]),
        "counts": data_tables.counts_table(pair),
        "rows": _class_rows(pair, spec.seed),
        "more_classes": max(0, len(pair.class_names) - _MOST_CLASSES),
        "stored": data_tables.stored_table(pair),
        "statistics": data_tables.statistics_table(pair),
        "histograms": _histograms(pair),
        "domains": (("source", pair.source), ("target", pair.target)),
        "version": __version__,
    }
    return render("data_page.html.jinja", contents)


def _is_leak(pair: InspectedPair, copy: Copy) -> bool:
    parts = [str(pair.parts[copy.first]), str(pair.parts[copy.second])]
    return parts.count(TEST_PART) == 1


def _similarity_first(copy: Copy) -> float:
    return -2.0 if copy.similarity is None else -copy.similarity


def _pair_rows(pair: InspectedPair, copies: Sequence[Copy]) -> list[_PairRow]:
    rows = []
    for copy in copies[:_MOST_PAIRS]:
        names = {pair.class_name(copy.first), pair.class_name(copy.second)}
        classes = [escape_control(name) for name in sorted(name for name in names if name)]
        rows.append(
            _PairRow(
                picture=image_uri([pair.image(copy.first), pair.image(copy.second)]),
                first_part=str(pair.parts[copy.first]),
                first_name=escape_control(pair.image_name(copy.first)),
                second_part=str(pair.parts[copy.second]),
                second_name=escape_control(pair.image_name(copy.second)),
                classes=" ≠ ".join(classes),
                similarity=describe_similarity(copy),
            )
        )
    return rows


def _class_rows(pair: InspectedPair, seed: int) -> list[_ClassRow]:
    rows = []
    for class_name in pair.class_names[:_MOST_CLASSES]:
        source = _strip(pair.source, class_name, seed)
        target = _strip(pair.target, class_name, seed)
        rows.append(_ClassRow(escape_control(class_name), source, target))
    source = _strip(pair.source, None, seed)
    target = _strip(pair.target, None, seed)
    if source is not None or target is not None:
        rows.append(_ClassRow("unlabelled", source, target))
    return rows


def _strip(domain: InspectedDomain, class_name: str | None, seed: int) -> str | None:
    """Return some images of a class as a strip; the class None is unlabelled."""
    label = UNLABELLED
    if class_name is not None:
        if class_name not in domain.class_names:
            return None
        label = domain.class_names.index(class_name)
    members = np.flatnonzero(domain.labels == label)
    if not len(members):
        return None
    random = np.random.default_rng(derive_seed(seed, "inspect", str(class_name)))
    chosen = random.permutation(members)[:_PER_ROW]
    return image_uri(list(domain.images.take(chosen)))


def _histograms(pair: InspectedPair) -> str:
    """Return the histograms of both domains side by side, with one line per channel."""
    figure = Figure(figsize=(9, 2.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    domains = ((left, "source", pair.source_statistics), (right, "target", pair.target_statistics))
    levels = (np.arange(BINS) + 0.5) * (256 / BINS)
    for axes, role, statistics in domains:
        for channel, colour in zip(statistics.histogram, _line_colours(statistics), strict=True):
            axes.plot(levels, 100 * channel, color=colour, linewidth=1.2)
            axes.fill_between(levels, 100 * channel, color=colour, alpha=0.12, linewidth=0)
        axes.set_title(role, fontsize="medium")
        axes.set_xlim(0, 255)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("grey level")
    left.set_ylabel("% of the pixels")
    return to_svg(figure)


def _line_colours(statistics: ImageStatistics) -> list[str]:
    channels = len(statistics.histogram)
    if channels == 3:
        return list(_COLOURS[:3])
    return [_COLOURS[-1]] * channels
