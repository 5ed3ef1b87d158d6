from __future__ import annotations

import pytest
from markupsafe import Markup

from adaptune.report.markup import Scale, scale_of, tag, value_scale
from adaptune.spec.distributions import Choice, Int, LogUniform


def test_texts_are_escaped_and_elements_are_not() -> None:
    element = tag("g", Markup("<path></path>"), "<b>", class_="a", data_tip='"x"', id=None, x=1.26)
    assert element == ('<g class="a" data-tip="&#34;x&#34;" x="1.3"><path></path>&lt;b&gt;</g>')


def test_a_logarithmic_scale_has_powers_of_ten() -> None:
    scale = scale_of(LogUniform(search="loguniform", low=0.01, high=100), 0, 400)
    assert [scale(value) for value in (0.01, 0.1, 1, 100)] == pytest.approx([0, 100, 200, 400])
    assert list(scale.ticks().values()) == ["0.01", "0.1", "1", "10", "100"]
    narrow = scale_of(LogUniform(search="loguniform", low=0.3, high=3), 0, 1)
    assert list(narrow.ticks().values()) == ["0.3", "1", "3"]


def test_0_has_a_place_before_a_logarithmic_range() -> None:
    distribution = LogUniform(search="loguniform", low=0.01, high=100, zero=0.2)
    scale = scale_of(distribution, 0, 400)
    assert [scale(value) for value in (0, 0.01, 1, 100)] == pytest.approx([0, 40, 220, 400])
    assert list(scale.ticks().values()) == ["0", "0.01", "0.1", "1", "10", "100"]


def test_values_beyond_the_ends_are_moved_to_them() -> None:
    scale = Scale(0, 10, 100, 0)
    assert [scale(value) for value in (-5, 0, 5, 20)] == [100, 100, 50, 0]


def test_categories_have_equal_places() -> None:
    scale = scale_of(Choice(search="choice", values=(0.5, "b", True)), 0, 300)
    assert [scale(value) for value in (0.5, "b", True)] == [50, 150, 250]
    assert list(scale.ticks()) == ["0.5", "b", "True"]


def test_whole_values_have_whole_labels() -> None:
    scale = scale_of(Int(search="int", low=1, high=3), 0, 1)
    assert list(scale.ticks().values()) == ["1", "2", "3"]
    assert list(Scale(0.5, 2.5, 0, 1, is_whole=True).ticks()) == [1, 2]


def test_equal_values_have_a_scale() -> None:
    assert value_scale([0.5, 0.5], 0, 10)(0.5) == pytest.approx(5)
