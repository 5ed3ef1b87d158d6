"""Figures as SVG that can be embedded in a page."""

from __future__ import annotations

import io

import matplotlib as mpl
from matplotlib.figure import Figure


def to_svg(figure: Figure) -> str:
    """Return a figure as the text of an `<svg>` element, with a light grid and without a frame."""
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e5e7eb", zorder=0)
        axes.set_axisbelow(True)
    text = io.StringIO()
    # Text stays text, and ids are reproducible: the file changes only with its contents.
    with mpl.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "adaptune", "font.family": "sans-serif"}
    ):
        figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :]
