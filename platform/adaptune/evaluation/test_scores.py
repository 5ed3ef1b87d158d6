"""Accuracies on the held-out test set, evaluated once per exported model.

The study counts every evaluation.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from adaptune.data.array_types import Labels
from adaptune.data.device_images import DeviceImages
from adaptune.data.image_set import ImageSet
from adaptune.data.splits import WithheldData
from adaptune.spec.schema import TrialSpec
from adaptune.study.study import SearchStudy
from adaptune.training.build import build_classifier
from adaptune.training.significance import accuracy_interval, mcnemar_p_value
from adaptune.training.state import StateDict
from adaptune.training.validation import predict_all

# Names of the models in tables and figures.
SOURCE_ONLY = "source only"
INFORMATION_ONLY = "information only"
NO_GAN = "no GAN"
ADAPTED = "adapted"
TARGET_SUPERVISED = "target supervised"

_EVALUATION_KEY = "test_evaluation:"


@dataclass(frozen=True)
class Baselines:
    """Weights of the models that a search is compared with, besides f_S; None if not trained.

    Attributes:
        information_only: f_S adapted by the information term alone.
        no_gan: f_S adapted by the task term on source images and the information term: all that the
            searched model has, except for the GAN.
        target_supervised: classifier trained on the labelled target_train, the upper bound.
    """

    information_only: StateDict | None = None
    no_gan: StateDict | None = None
    target_supervised: StateDict | None = None


@dataclass(frozen=True)
class TestScores:
    """Accuracies on target_test, in [0, 1]; None if a baseline was not trained.

    Attributes:
        size: number of test samples.
        p: by baseline, the p value of its difference to `adapted` (McNemar's exact test).
    """

    size: int
    adapted: float
    source_only: float
    information_only: float | None = None
    no_gan: float | None = None
    target_supervised: float | None = None
    p: Mapping[str, float] = field(default_factory=dict)

    @property
    def interval(self) -> tuple[float, float]:
        """Exact binomial 95% interval of `adapted`."""
        return accuracy_interval(round(self.adapted * self.size), self.size)

    @property
    def gap_closed(self) -> float | None:
        """(adapted − source only) / (target supervised − source only); None without a gap."""
        upper_bound = self.target_supervised
        if upper_bound is None or upper_bound <= self.source_only:
            return None
        return (self.adapted - self.source_only) / (upper_bound - self.source_only)


def score_on_test(
    spec: TrialSpec,
    withheld: WithheldData,
    *,
    classes: int,
    adapted: StateDict,
    source_only: StateDict,
    baselines: Baselines,
) -> TestScores:
    """Evaluate all models on target_test."""
    models = {"adapted": adapted, "source_only": source_only} | vars(baselines)
    images, labels = withheld.target_test_images, withheld.target_test_labels
    correct = {}
    for name, weights in models.items():
        if weights is not None:
            correct[name] = correct_predictions(weights, spec, images, labels, classes)
    p_values = {}
    for name, hits in correct.items():
        if name != "adapted":
            p_values[name] = mcnemar_p_value(correct["adapted"], hits)
    accuracies = {name: float(hits.mean()) for name, hits in correct.items()}
    return TestScores(size=len(labels), p=p_values, **accuracies)


def correct_predictions(
    weights: StateDict, spec: TrialSpec, images: ImageSet, labels: Labels, classes: int
) -> NDArray[np.bool_]:
    """Return which of N target images a classifier with these weights gets right, (N,)."""
    classifier = build_classifier(spec.model.classifier, spec.data.target, classes)
    classifier.load_state_dict(weights)
    outputs = predict_all(classifier, DeviceImages(images, labels, torch.device("cpu")))
    predicted = outputs.logits.argmax(dim=1).numpy()
    correct: NDArray[np.bool_] = predicted == labels
    return correct


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
    return TestScores(**cast("dict[str, Any]", stored)), count


def run_once(
    study: SearchStudy, model: str, score: Callable[[], dict[str, object]]
) -> tuple[dict[str, object], int]:
    """Return a stored evaluation of a model, or run and store it; and the number of evaluations."""
    evaluations = _evaluations(study)
    for evaluation in evaluations:
        if evaluation["model"] == model and evaluation["scores"] is not None:
            return cast("dict[str, object]", evaluation["scores"]), len(evaluations)
    # Stored first: an evaluation that is interrupted counts all the same.
    key = _add_evaluation(study, model)
    scores = score()
    evaluation = study.optuna_study.user_attrs[key]
    study.optuna_study.set_user_attr(key, evaluation | {"scores": scores})
    return scores, len(evaluations) + 1


def count_evaluation(study: SearchStudy, model: str) -> None:
    """Count an evaluation of a model on the test set whose scores are stored elsewhere.

    A repetition is not counted again.

    Args:
        model: description of the model, unique in the search.
    """
    if all(evaluation["model"] != model for evaluation in _evaluations(study)):
        _add_evaluation(study, model)


def _evaluations(study: SearchStudy) -> list[dict[str, Any]]:
    evaluations = []
    for key, evaluation in study.optuna_study.user_attrs.items():
        if key.startswith(_EVALUATION_KEY):
            evaluations.append(evaluation)
    return evaluations


def _add_evaluation(study: SearchStudy, model: str) -> str:
    """Store an evaluation without scores, and return its key."""
    key = f"{_EVALUATION_KEY}{len(_evaluations(study))}"
    time = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    study.optuna_study.set_user_attr(key, {"model": model, "time": time, "scores": None})
    return key
