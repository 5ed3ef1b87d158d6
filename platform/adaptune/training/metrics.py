"""Metrics of a classifier on labelled images: accuracy, mean recall, macro F1 and AUROC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from adaptune.data.array_types import Labels

Array = NDArray[np.float64]

ACCURACY = "accuracy"
AUROC = "auroc"
# Names of the metrics in tables. An objective is `target_val_` and the key.
METRICS = {
    ACCURACY: "accuracy",
    "mean_recall": "mean recall",
    "macro_f1": "macro F1",
    AUROC: "AUROC",
}
_OBJECTIVE_PREFIX = "target_val_"


def metric_of(objective: str) -> str | None:
    """Return the metric on target_val that an objective is; None for a validator."""
    metric = objective.removeprefix(_OBJECTIVE_PREFIX)
    return metric if metric != objective and metric in METRICS else None


def judging_metric(objective: str) -> str:
    """Return the metric that judges the models of a search: its own, or else the accuracy."""
    return metric_of(objective) or ACCURACY


@dataclass(frozen=True)
class ClassScores:
    """Metrics of a classifier that count each class alike, whatever its number of images.

    Attributes:
        mean_recall: mean recall of the classes that have images, in [0, 1]. It is also known as
            balanced accuracy and as mean accuracy per class.
        macro_f1: mean F1 score of the classes that have images, in [0, 1].
        auroc: area under the ROC curve, in [0, 1]; None unless there are two classes with images.
        recall: recall, which is the accuracy on the images of a class, by the name of the class;
            None for a class without images.
    """

    mean_recall: float
    macro_f1: float
    auroc: float | None
    recall: Mapping[str, float | None]


class Predictions:
    """Predictions of a classifier for N labelled images.

    Args:
        logits: float64 (N, K).
        labels: int64 (N,), indices into `class_names`.
        class_names: names of the K classes, in the order of the logits.

    Attributes:
        labels: int64 (N,).
        predicted: class with the highest logit, int64 (N,).
        hits: which predictions are correct, bool (N,).
        class_names: the K names.
    """

    def __init__(self, logits: Array, labels: Labels, class_names: Sequence[str]) -> None:
        self.labels = labels
        self.predicted: Labels = logits.argmax(axis=1)
        self.hits: NDArray[np.bool_] = self.predicted == labels
        self.class_names = class_names
        self._margins: Array | None = None
        if logits.shape[1] == 2:
            # Probabilities would tie where the softmax saturates. Ranks can be compared between
            # models.
            self._margins = _ranks(logits[:, 1] - logits[:, 0])

    def values(self, counts: NDArray[np.int64] | None = None) -> dict[str, float]:
        """Return the metrics, by their keys in `METRICS`; AUROC for two classes only.

        Args:
            counts: how many times each image counts, (N,); once by default.
        """
        if counts is None:
            counts = np.ones(len(self.labels), dtype=np.int64)
        confusion = self.confusion(counts)
        hits = confusion.diagonal()
        images = confusion.sum(axis=1)
        present = images > 0
        # F1 = 2 TP / (2 TP + FN + FP)
        f1 = 2 * hits[present] / (images + confusion.sum(axis=0))[present]
        values = {
            ACCURACY: float(hits.sum() / images.sum()),
            "mean_recall": float((hits[present] / images[present]).mean()),
            "macro_f1": float(f1.mean()),
        }
        if self._margins is not None and present.all():
            values[AUROC] = self._auroc(counts)
        return values

    def exchanged(
        self, other: Predictions, images: NDArray[np.bool_]
    ) -> tuple[Predictions, Predictions]:
        """Return both predictions after the exchange of those for some images, bool (N,)."""
        pair = copy(self), copy(other)
        for changed, kept, given in zip(pair, (self, other), (other, self), strict=True):
            vars(changed).pop("_ranking", None)
            changed.predicted = np.where(images, given.predicted, kept.predicted)
            changed.hits = changed.predicted == changed.labels
            if kept._margins is not None and given._margins is not None:
                changed._margins = np.where(images, given._margins, kept._margins)
        return pair

    def confusion(self, counts: NDArray[np.int64] | None = None) -> Array:
        """Return the images by class (rows) and predicted class (columns), (K, K)."""
        classes = len(self.class_names)
        cells = self.labels * classes + self.predicted
        totals = np.bincount(cells, weights=counts, minlength=classes**2)
        return totals.reshape(classes, classes).astype(np.float64)

    def class_scores(self) -> ClassScores:
        """Return the metrics that count each class alike."""
        values = self.values()
        return ClassScores(
            mean_recall=values["mean_recall"],
            macro_f1=values["macro_f1"],
            auroc=values.get(AUROC),
            recall=self.recall(),
        )

    def recall(self) -> dict[str, float | None]:
        """Return the recall by the name of the class; None for a class without images."""
        recalls: dict[str, float | None] = {}
        for label, name in enumerate(self.class_names):
            hits = self.hits[self.labels == label]
            recalls[name] = float(hits.mean()) if len(hits) else None
        return recalls

    @cached_property
    def _ranking(self) -> tuple[Labels, Labels]:
        """The order of the images by margin, and the first position of each group of equal ones."""
        assert self._margins is not None
        order = np.argsort(self._margins, kind="stable")
        margins = self._margins[order]
        is_first = np.concatenate([[True], margins[1:] != margins[:-1]])
        return order, np.flatnonzero(is_first)

    def _auroc(self, counts: NDArray[np.int64]) -> float:
        """Return P(margin of class 1 > margin of class 0) + P(both are equal) / 2."""
        order, starts = self._ranking
        positive = np.where(self.labels == 1, counts, 0)[order]
        negative = np.where(self.labels == 0, counts, 0)[order]
        positives = np.add.reduceat(positive, starts)
        negatives = np.add.reduceat(negative, starts)
        below = negatives.cumsum() - negatives
        wins = (positives * (below + negatives / 2)).sum()
        return float(wins / (positive.sum() * negative.sum()))


def _ranks(values: Array) -> Array:
    """Return the ranks of N values, (N,); equal ones share the mean of their ranks."""
    ordered = np.sort(values)
    below = np.searchsorted(ordered, values, side="left")
    not_above = np.searchsorted(ordered, values, side="right")
    return (below + not_above) / 2
