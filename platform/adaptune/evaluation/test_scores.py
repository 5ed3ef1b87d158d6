"""The sealed test: scored once for an exported model, and every look is written down in the study."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna
import torch
from numpy.typing import NDArray

from adaptune.data.device_images import DeviceImages
from adaptune.data.domain import Images, Labels
from adaptune.data.splits import WithheldData
from adaptune.spec.schema import TrialSpec
from adaptune.training.build import build_classifier
from adaptune.training.significance import accuracy_interval, mcnemar_p_value
from adaptune.training.source_classifier import State
from adaptune.training.validation import predict_all

_LOOK = "sealed:"


@dataclass(frozen=True)
class Baselines:
    """The weights of what a search is held against, beside f_S; None where one was not trained."""

    information_only: State | None = None  # f_S adapted by the information term alone
    no_gan: State | None = None  # by task on source images and information, as f_T but for the GAN
    supervised: State | None = None  # trained on the labelled target_train


@dataclass(frozen=True)
class TestScores:
    """Accuracies on target_test, in [0, 1]; None where a yardstick was not trained."""

    size: int
    adapted: float
    source_only: float
    information_only: float | None = None
    no_gan: float | None = None
    supervised: float | None = None
    # By model, how likely `adapted` differs from it by chance only.
    p: Mapping[str, float] = field(default_factory=dict)

    @property
    def interval(self) -> tuple[float, float]:
        """The exact binomial 95% interval of `adapted`."""
        return accuracy_interval(round(self.adapted * self.size), self.size)

    @property
    def gap_closed(self) -> float | None:
        """(adapted − source-only) / (target-supervised − source-only); None without a gap."""
        if self.supervised is None or self.supervised <= self.source_only:
            return None
        return (self.adapted - self.source_only) / (self.supervised - self.source_only)


def score_sealed(
    spec: TrialSpec,
    sealed: WithheldData,
    classes: int,
    *,
    adapted: State,
    source_only: State,
    rivals: Baselines,
) -> TestScores:
    """Score all models on target_test."""
    models = {"adapted": adapted, "source_only": source_only} | vars(rivals)
    hits = {
        name: correct_predictions(
            weights, spec, sealed.target_test_images, sealed.target_test_labels, classes
        )
        for name, weights in models.items()
        if weights is not None
    }
    return TestScores(
        size=len(sealed.target_test_labels),
        **{name: float(right.mean()) for name, right in hits.items()},
        p={
            name: mcnemar_p_value(hits["adapted"], right)
            for name, right in hits.items()
            if name != "adapted"
        },
    )


def correct_predictions(
    weights: State, spec: TrialSpec, images: Images, labels: Labels, classes: int
) -> NDArray[np.bool_]:
    """Which of N target images a classifier with these weights gets right, [N]; on the CPU."""
    classifier = build_classifier(spec.model.classifier, spec.data.target, classes)
    classifier.load_state_dict(weights)
    seen = (
        predict_all(classifier, DeviceImages(images, labels, torch.device("cpu")))
        .logits.argmax(dim=1)
        .numpy()
    )
    right: NDArray[np.bool_] = seen == labels
    return right


def look(
    study: optuna.Study, model: str, score: Callable[[], dict[str, Any]]
) -> tuple[dict[str, Any], int]:
    """The scores of `model`, and at how many models the sealed test was looked at by now.

    A model that was scored before is not scored again: its scores were written down.
    """
    looks = {key: value for key, value in study.user_attrs.items() if key.startswith(_LOOK)}
    known = next(
        (one for one in looks.values() if one["model"] == model and one["scores"] is not None), None
    )
    if known is not None:
        return known["scores"], len(looks)
    key, when = (
        f"{_LOOK}{len(looks)}",
        datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
    # Written down first: a look that is cut off is one all the same.
    study.set_user_attr(key, {"model": model, "time": when, "scores": None})
    scores = score()
    study.set_user_attr(key, {"model": model, "time": when, "scores": scores})
    return scores, len(looks) + 1
