"""Scores on the held-out test set, evaluated once per exported model.

The study counts every evaluation.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from adaptune.seeding import derive_seed
from adaptune.spec.baselines import WITHOUT_GAN
from adaptune.study.study import SearchStudy
from adaptune.training.bootstrap import (
    Bootstrap,
    Estimate,
    permutation_p_value,
    recall_by_class,
)
from adaptune.training.metrics import ACCURACY, Predictions
from adaptune.training.significance import accuracy_interval, mcnemar_p_value

# The models in tables and figures.
SOURCE_ONLY = "source only"
INFORMATION_ONLY = "information only"
NO_GAN = "no GAN"
FDA = "FDA"
ADAPTED = "adapted"
TARGET_SUPERVISED = "target supervised"
NAMES = {
    "source_only": SOURCE_ONLY,
    "information_only": INFORMATION_ONLY,
    "no_gan": NO_GAN,
    "fda": FDA,
    "adapted": ADAPTED,
    "target_supervised": TARGET_SUPERVISED,
}

MOST_CONFUSED = 40  # classes: a larger matrix fills the study, and nobody can read it
_EVALUATION_KEY = "test_evaluation:"
Scores = dict[str, object]  # as they are stored


@dataclass(frozen=True)
class SelectedBaseline:
    """The choice of a baseline's setting and epoch by the objective.

    Attributes:
        setting: its setting in words.
        epoch: its epoch; 0 is f_S.
        updates: number of updates of all settings together.
    """

    setting: str
    epoch: int
    updates: int


@dataclass(frozen=True)
class TestScores:
    """Accuracies and other metrics on target_test, in [0, 1]; None if a baseline was not trained.

    Attributes:
        size: number of test samples.
        p: by baseline, the p value of its difference to `adapted`: McNemar's exact test for the
            accuracy, otherwise a paired permutation test.
        metric: metric that is compared: a key of `METRICS`.
        metrics: by model, such as `adapted`, its metrics with their 95% intervals.
        recall: recall of `adapted` by class; None for a class without images.
        confusion: of `source_only` and `adapted`, the images by class (rows) and prediction
            (columns), in the order of `recall`; empty for more than `MOST_CONFUSED` classes.
        selected: the choice for each baseline that was trained; empty if an earlier version of
            adaptune stored the scores.
        best_baseline: the best baseline without a GAN by the objective of the search.
    """

    size: int
    adapted: float
    source_only: float
    information_only: float | None = None
    no_gan: float | None = None
    fda: float | None = None
    target_supervised: float | None = None
    p: Mapping[str, float] = field(default_factory=dict)
    metric: str = ACCURACY
    metrics: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)
    recall: Mapping[str, Estimate | None] = field(default_factory=dict)
    confusion: Mapping[str, list[list[int]]] = field(default_factory=dict)
    selected: Mapping[str, SelectedBaseline] = field(default_factory=dict)
    best_baseline: str | None = None

    def value(self, model: str) -> float | None:
        """Return the compared metric of a model, such as `no_gan`; None if it was not trained."""
        if self.metric == ACCURACY:
            accuracy: float | None = getattr(self, model)
            return accuracy
        estimates = self.metrics.get(model)
        return None if estimates is None else estimates[self.metric].value

    @property
    def adapted_value(self) -> float:
        """The compared metric of `adapted`."""
        value = self.value("adapted")
        assert value is not None
        return value

    @property
    def source_only_value(self) -> float:
        """The compared metric of source only."""
        value = self.value("source_only")
        assert value is not None
        return value

    @property
    def accuracy_ci95(self) -> tuple[float, float]:
        """Exact binomial 95% interval of the accuracy of `adapted`."""
        return accuracy_interval(round(self.adapted * self.size), self.size)

    @property
    def interval(self) -> tuple[float, float]:
        """95% interval of the compared metric of `adapted`."""
        if self.metric == ACCURACY:
            return self.accuracy_ci95
        return self.metrics["adapted"][self.metric].ci95

    @property
    def gap_closed(self) -> float | None:
        """(adapted − source only) / (target supervised − source only); None without a gap.

        It is that of the compared metric.
        """
        upper_bound = self.value("target_supervised")
        source_only = self.source_only_value
        if upper_bound is None or upper_bound <= source_only:
            return None
        return (self.adapted_value - source_only) / (upper_bound - source_only)

    @property
    def best_without_gan(self) -> str | None:
        """Key of the best baseline without a GAN by the objective; None if none was trained.

        For scores that an earlier version stored, it is the best on the test.
        """
        if self.best_baseline is not None:
            return self.best_baseline
        values = {name: self.value(name) for name in WITHOUT_GAN}
        trained = {name: value for name, value in values.items() if value is not None}
        return max(trained, key=trained.__getitem__, default=None)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TestScores:
        """Return the scores whose `asdict` was stored as JSON."""
        metrics = {}
        for model, estimates in values.get("metrics", {}).items():
            metrics[model] = {name: _parse(stored) for name, stored in estimates.items()}
        recall: dict[str, Estimate | None] = {}
        for name, stored in values.get("recall", {}).items():
            recall[name] = None if stored is None else _parse(stored)
        selected = {}
        for baseline, stored in values.get("selected", {}).items():
            selected[baseline] = SelectedBaseline(**stored)
        return cls(**{**values, "metrics": metrics, "recall": recall, "selected": selected})


def score_on_test(
    predictions: Mapping[str, Predictions], *, metric: str = ACCURACY, seed: int
) -> TestScores:
    """Compare the adapted model with the others on target_test.

    Args:
        predictions: by key of the model, such as `no_gan`, its predictions for target_test:
            `adapted`, `source_only`, and those of the baselines that were trained.
        metric: metric that is compared; the accuracy if the test set does not define it.
        seed: seed of the resamples.
    """
    adapted = predictions["adapted"]
    bootstrap = Bootstrap(predictions, derive_seed(seed, "test bootstrap"))
    metrics = {name: bootstrap.estimates(name) for name in predictions}
    if metric not in metrics["adapted"]:
        metric = ACCURACY
    permutation_seed = derive_seed(seed, "test permutation")
    p_values = {}
    for name, baseline in predictions.items():
        if name == "adapted":
            continue
        if metric == ACCURACY:
            p_values[name] = mcnemar_p_value(adapted.hits, baseline.hits)
        else:
            p_values[name] = permutation_p_value(adapted, baseline, metric, permutation_seed)
    accuracies = {name: estimates[ACCURACY].value for name, estimates in metrics.items()}
    return TestScores(
        size=len(adapted.labels),
        p=p_values,
        metric=metric,
        metrics=metrics,
        recall=recall_by_class(adapted),
        confusion=_confusion(predictions),
        selected={},
        best_baseline=None,
        **accuracies,
    )


def stored_scores(study: SearchStudy, model: str) -> tuple[TestScores, int] | None:
    """Return the scores of a model, and how many models were evaluated; None if it was not.

    Args:
        model: description of the model, unique in the search.
    """
    scores = _evaluations(study).get(model)
    if scores is None:
        return None
    return TestScores.from_dict(scores), len(_evaluations(study))


def evaluate_once(
    study: SearchStudy, model: str, score: Callable[[], TestScores]
) -> tuple[TestScores, int]:
    """Return the scores of a model, and how many models have been evaluated on the test so far.

    A model that was evaluated before keeps its stored scores.

    Args:
        model: description of the model, unique in the search.
        score: evaluates it.
    """
    stored, count = run_once(study, model, lambda: asdict(score()))
    return TestScores.from_dict(stored), count


def run_once(study: SearchStudy, model: str, score: Callable[[], Scores]) -> tuple[Scores, int]:
    """Return a stored evaluation of a model, or run and store it; and the number of models."""
    scores = _evaluations(study).get(model)
    if scores is None:
        # Counted first: an evaluation that is interrupted counts all the same.
        count_evaluation(study, model)
        scores = score()
        key, evaluation = _stored(study)[model]
        study.optuna_study.set_user_attr(key, evaluation | {"scores": scores})
    return scores, len(_evaluations(study))


def model_name(trial: int, epoch: int) -> str:
    """Return the description of a trial's epoch, unique in a search."""
    return f"trial {trial}, epoch {epoch}"


def count_evaluation(study: SearchStudy, model: str) -> None:
    """Count a model as evaluated on the test set; a repetition is not counted again.

    Args:
        model: description of the model, unique in the search.
    """
    evaluations = _stored(study)
    if model not in evaluations:
        key = f"{_EVALUATION_KEY}{len(evaluations)}"
        time = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        study.optuna_study.set_user_attr(key, {"model": model, "time": time, "scores": None})


def _confusion(predictions: Mapping[str, Predictions]) -> dict[str, list[list[int]]]:
    matrices = {}
    for name in ("source_only", "adapted"):
        if len(predictions[name].class_names) <= MOST_CONFUSED:
            matrices[name] = predictions[name].confusion().astype(int).tolist()
    return matrices


def _parse(stored: Mapping[str, Any]) -> Estimate:
    low, high = stored["ci95"]
    return Estimate(stored["value"], (low, high))


def _evaluations(study: SearchStudy) -> dict[str, Scores | None]:
    """Return the scores of each evaluated model; None if its evaluation was interrupted."""
    return {model: evaluation["scores"] for model, (_, evaluation) in _stored(study).items()}


def _stored(study: SearchStudy) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the key and the value of the study's attribute for each evaluated model."""
    stored = {}
    for key, evaluation in study.optuna_study.user_attrs.items():
        if key.startswith(_EVALUATION_KEY):
            stored[evaluation["model"]] = key, evaluation
    return stored
