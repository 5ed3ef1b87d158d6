"""The figures of a summary that test scores hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter

from pydantic import BaseModel, ConfigDict, Field

from adaptune.evaluation.test_scores import NAMES, TestScores
from adaptune.training.significance import accuracy_interval


class BaselineSummary(BaseModel):
    """A baseline that was trained, with the setting and the epoch that the objective chose."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = Field(description="name of the baseline")
    setting: str = Field(description="its setting in words")
    epoch: int = Field(description="its epoch; 0 is f_S")
    updates: int = Field(description="updates of all its settings together")
    test_accuracy: float = Field(description="test accuracy")
    test_ci95: tuple[float, float] = Field(description="exact 95% interval of it")


def score_figures(scores: TestScores | None) -> dict[str, object]:
    """Return the fields of a summary that test scores hold, by name; None if not known."""
    if scores is None:
        return dict.fromkeys(_FIGURES)
    return {name: figure(scores) for name, figure in _FIGURES.items()}


def _baselines(scores: TestScores) -> tuple[BaselineSummary, ...] | None:
    """Return the baselines that were trained; None if an earlier version stored the scores."""
    baselines = []
    for key, selected in scores.selected.items():
        accuracy = getattr(scores, key)
        interval = accuracy_interval(round(accuracy * scores.size), scores.size)
        baselines.append(
            BaselineSummary(
                name=NAMES[key],
                setting=selected.setting,
                epoch=selected.epoch,
                updates=selected.updates,
                test_accuracy=accuracy,
                test_ci95=interval,
            )
        )
    return tuple(baselines) or None


def _best_baseline(scores: TestScores) -> str | None:
    return None if scores.best_baseline is None else NAMES[scores.best_baseline]


def _baseline_updates(scores: TestScores) -> int | None:
    return sum(selected.updates for selected in scores.selected.values()) or None


_FIGURES: Mapping[str, Callable[[TestScores], object]] = {
    "target_test_accuracy": attrgetter("adapted"),
    "target_test_ci95": attrgetter("accuracy_ci95"),
    "target_test_size": attrgetter("size"),
    "source_only_test_accuracy": attrgetter("source_only"),
    "information_only_test_accuracy": attrgetter("information_only"),
    "no_gan_test_accuracy": attrgetter("no_gan"),
    "fda_test_accuracy": attrgetter("fda"),
    "target_supervised_test_accuracy": attrgetter("target_supervised"),
    "baselines": _baselines,
    "best_baseline": _best_baseline,
    "baseline_updates": _baseline_updates,
    "test_metrics": lambda scores: scores.metrics or None,
    "target_test_recall": lambda scores: scores.recall or None,
    "target_test_confusion": lambda scores: scores.confusion or None,
    "verdict_metric": attrgetter("metric"),
    "gap_closed": attrgetter("gap_closed"),
}
