"""Elements of HTML and SVG, and the scales of plots."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from adaptune.spec.distributions import Choice, Distribution, Int, LogUniform, Value

_STEPS = (1, 2, 2.5, 5, 10)
_ZERO_SHARE = 0.1  # of the axis, between 0 and the range


def tag(name: str, *children: str, **attributes: object) -> Markup:
    """Return an element; text that is not markup is escaped.

    Args:
        attributes: a trailing underscore is dropped, and other underscores are hyphens; None leaves
            an attribute out, and a float is rounded to a tenth of a pixel.
    """
    parts = [name]
    for key, value in attributes.items():
        if value is None:
            continue
        text = f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else value
        parts.append(f'{key.rstrip("_").replace("_", "-")}="{escape(text)}"')
    contents = Markup("").join(children)
    opening = " ".join(parts)
    return Markup(f"<{opening}>{contents}</{name}>")


def plot(label: str, width: float, height: float, *children: str, role: str = "group") -> Markup:
    """Return an SVG, by default of marks that a reader can select.

    Args:
        label: its description for those who cannot see it.
        role: its ARIA role, `img` if it has no marks.
    """
    view = f"0 0 {width:.0f} {height:.0f}"
    return tag("svg", *children, class_="plot", viewBox=view, role=role, aria_label=label)


def text(x: float, y: float, contents: str, **attributes: object) -> Markup:
    """Return a text of a plot."""
    return tag("text", contents, x=x, y=y, **attributes)


def polyline(points: Sequence[tuple[float, float]], **attributes: object) -> Markup:
    """Return a path through points."""
    steps = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return tag("path", d=f"M{steps}", **attributes)


@dataclass(frozen=True)
class Scale:
    """The map of values to pixels along an axis.

    Attributes:
        low: value at `start`.
        high: value at `end`, above `low`.
        start: pixel.
        end: pixel.
        is_log: whether the logarithm of the value decides.
        is_whole: whether only whole values have labels.
        names: names of the values 0, 1, …, if they are categories.
        has_zero: whether the value 0 has a place of its own at `start`, apart from the range.
    """

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False
    is_whole: bool = False
    names: Sequence[str] = ()
    has_zero: bool = False

    def __call__(self, value: Value) -> float:
        """Return the pixel of a value; one beyond an end is moved to it."""
        low, high, number = self.low, self.high, self.number(value)
        start = self.start
        if self.has_zero and number == 0:
            return start
        if self.has_zero:
            start += _ZERO_SHARE * (self.end - self.start)
        if self.is_log:
            low, high, number = math.log(low), math.log(high), math.log(max(number, 1e-300))
        share = min(max((number - low) / (high - low), 0.0), 1.0)
        return start + share * (self.end - start)

    def number(self, value: Value) -> float:
        """Return a value as a number: of a category, its position."""
        if self.names:
            return float(self.names.index(str(value)))
        assert isinstance(value, int | float)
        return float(value)

    def ticks(self, count: int = 5) -> dict[Value, str]:
        """Return the labels of about `count` values, or of all categories."""
        if self.names:
            return {name: name for name in self.names}
        values = self.round_values(count)
        if self.has_zero:
            values = [0.0, *values]
        return {value: f"{value:.6g}" for value in values}

    def round_values(self, count: int = 5) -> list[float]:
        """Return about `count` round values."""
        values = _log_ticks(self.low, self.high) if self.is_log else []
        if len(values) >= 2:
            return values
        step = _step(self.low, self.high, count)
        if self.is_whole:
            step = float(max(1, math.ceil(step)))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [step * index for index in range(first, last + 1)]


def scale_of(distribution: Distribution, start: float, end: float) -> Scale:
    """Return the scale of a searched value over its whole range."""
    if isinstance(distribution, Choice):
        names = [str(value) for value in distribution.values]
        if distribution.when and str(distribution.otherwise) not in names:
            names.append(str(distribution.otherwise))
        return Scale(-0.5, len(names) - 0.5, start, end, names=names)
    low, high = distribution.low, distribution.high
    is_log = isinstance(distribution, LogUniform) and low > 0
    is_whole = isinstance(distribution, Int)
    has_zero = is_log and distribution.contains(0)
    return Scale(low, high, start, end, is_log=is_log, is_whole=is_whole, has_zero=has_zero)


def value_scale(values: Sequence[float], start: float, end: float) -> Scale:
    """Return a scale that shows all values with a margin."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    margin = 0.06 * (high - low) or 0.05
    return Scale(low - margin, high + margin, start, end)


def axes(x: Scale, y: Scale, x_label: str, y_labels: Mapping[Value, str]) -> Markup:
    """Return grid lines, tick labels and the label of the x axis.

    Args:
        y_labels: label by value of the y axis.
    """
    parts = []
    for value, label in y_labels.items():
        height = y(value)
        parts.append(tag("line", x1=x.start, x2=x.end, y1=height, y2=height, class_="grid-line"))
        parts.append(text(x.start - 6, height + 4, label, text_anchor="end"))
    for value, label in x.ticks().items():
        parts.append(text(x(value), y.start + 17, label, text_anchor="middle"))
    parts.append(text((x.start + x.end) / 2, y.start + 36, x_label, text_anchor="middle"))
    return tag("g", *parts, class_="axes", aria_hidden="true")


def _step(low: float, high: float, count: int) -> float:
    rough = (high - low) / max(count, 1)
    size = 10.0 ** math.floor(math.log10(rough))
    return next(size * factor for factor in _STEPS if size * factor >= rough * (1 - 1e-9))


def _log_ticks(low: float, high: float) -> list[float]:
    """Return the powers of ten, and three times them if there are few."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 3) if len(exponents) < 4 else (1,)
    values = [factor * 10.0**exponent for exponent in exponents for factor in factors]
    return [value for value in values if low * 0.999 <= value <= high * 1.001]
