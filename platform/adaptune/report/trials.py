"""The trials of a search as a report shows them, with what a selected trial tells about itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import yaml
from markupsafe import Markup
from optuna.trial import TrialState

from adaptune.report.markup import tag
from adaptune.spec.distributions import Value
from adaptune.spec.schema import SearchSpec
from adaptune.spec.tree import put
from adaptune.spec.yaml_types import Dumper
from adaptune.study.job import format_values
from adaptune.study.objective import format_value
from adaptune.study.study import SearchStudy
from adaptune.study.trial import StudyTrial
from adaptune.text import escape_control

FATES = {
    "best": "best",
    "complete": "complete",
    "stopped": "stopped early",
    "failed": "failed",
    "running": "running or interrupted",
}
_FATE_OF_STATE = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "stopped",
    TrialState.FAIL: "failed",
}


@dataclass(frozen=True)
class ReportTrial:
    """A trial of a report.

    Attributes:
        trial: the trial in the study.
        fate: a key of `FATES`.
        metric: metric that the search maximised.
    """

    trial: StudyTrial
    fate: str
    metric: str

    @property
    def number(self) -> int:
        """Number of the trial."""
        return self.trial.number

    @cached_property
    def curve(self) -> Mapping[int, float]:
        """Objective by epoch, where it is a number."""
        curve = self.trial.curve
        return {epoch: value for epoch, value in curve.items() if math.isfinite(value)}

    @cached_property
    def best_value(self) -> float | None:
        """Objective of the best epoch; None without any, or if it is no number."""
        value = self.trial.best_value
        return None if value is None or not math.isfinite(value) else value

    @cached_property
    def values(self) -> Mapping[str, Value]:
        """Sampled values by dotted path."""
        return self.trial.values

    def describe(self) -> str:
        """Return number, fate and best epoch in one line."""
        state = "the best" if self.fate == "best" else FATES[self.fate]
        parts = [f"trial {self.number}", state]
        if self.trial.is_start_point:
            parts.append("start point")
        best = self.trial.best_epoch
        if best is not None and self.best_value is not None:
            value = format_value(self.metric, self.best_value)
            parts.append(f"{value} in epoch {best.number} of {self.trial.last_epoch}")
        return ", ".join(parts)

    def details(self) -> dict[str, str]:
        """Return what the script shows of the trial when it is picked."""
        reason = self.trial.error or self.trial.unhealthy or ""
        return {
            "label": self.describe(),
            "values": format_values(self.values),
            "note": escape_control(reason),
            "yaml": self.yaml(),
        }

    def yaml(self) -> str:
        """Return the sampled values as they stand in a search space file."""
        tree: dict[str, object] = {}
        for path, value in self.values.items():
            put(tree, path, value)
        return str(yaml.dump(tree, Dumper=Dumper, sort_keys=False)) if tree else ""

    def mark(self, *children: str, tip: str | None = None, class_: str = "") -> Markup:
        """Return a mark of the trial in a plot, which the script makes selectable.

        Args:
            tip: what else the mark says.
        """
        classes = f"mark {self.fate} {class_}".rstrip()
        return tag("g", *children, class_=classes, data_trial=self.number, data_tip=tip)

    def symbol(self, x: float = 7.0, y: float = 7.0, size: float = 5.0) -> Markup:
        """Return the symbol of the fate; a start point has a square in place of a circle."""
        return fate_symbol(self.fate, x, y, size, is_square=self.trial.is_start_point)


def fate_symbol(
    fate: str, x: float = 7.0, y: float = 7.0, size: float = 5.0, *, is_square: bool = False
) -> Markup:
    """Return the symbol of a fate: fates differ in shape as well as in colour."""
    if fate == "best":
        half = size + 2.0
        d = f"M{x:.1f} {y - half:.1f}l{half} {half}l-{half} {half}l-{half} -{half}z"
        return tag("path", d=d, class_="solid")
    if fate == "failed":
        start = f"M{x - size:.1f} {y - size:.1f}"
        d = f"{start}l{2 * size} {2 * size}m0 -{2 * size}l-{2 * size} {2 * size}"
        return tag("path", d=d, class_="stroke")
    filled = "solid" if fate == "complete" else "hollow"
    if is_square:
        corner = {"x": x - size, "y": y - size, "width": 2 * size, "height": 2 * size}
        return tag("rect", class_=filled, **corner)
    return tag("circle", cx=x, cy=y, r=size, class_=filled)


def report_trials(study: SearchStudy, best: int | None) -> list[ReportTrial]:
    """Return the started trials, the best one last so that a plot draws it above the others.

    Args:
        best: number of the exported trial.
    """
    trials = []
    for trial in study.started_trials():
        fate = _FATE_OF_STATE.get(trial.state, "running")
        if trial.number == best:
            fate = "best"
        trials.append(ReportTrial(trial, fate, study.metric))
    return sorted(trials, key=lambda trial: trial.fate == "best")


def best_number(study: SearchStudy, exported: int | None) -> int | None:
    """Return the exported trial, or the best one so far of a search that has not finished."""
    if exported is not None:
        return exported
    best = next(iter(study.ranked_trials(include_running=True)), None)
    return None if best is None else best.number


def searched_names(spec: SearchSpec) -> dict[str, str]:
    """Return a short name for each searched value: its last part, if that is unique."""
    last = [path.rpartition(".")[2] for path in spec.space]
    names = {}
    for path, name in zip(spec.space, last, strict=True):
        names[path] = name if last.count(name) == 1 else path
    return names
