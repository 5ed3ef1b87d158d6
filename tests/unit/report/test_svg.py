from __future__ import annotations

from matplotlib.figure import Figure

from adaptune.report.svg import to_svg


def make_figure() -> Figure:
    figure = Figure(figsize=(2, 1))
    axes = figure.subplots()
    axes.plot([0, 1], [1, 0])
    axes.set_xlabel("epoch")
    return figure


def test_a_figure_is_an_element_with_its_text_as_text() -> None:
    svg = to_svg(make_figure())
    assert svg.startswith("<svg")
    assert ">epoch</text>" in svg


def test_the_same_figure_gives_the_same_text() -> None:
    assert to_svg(make_figure()) == to_svg(make_figure())
