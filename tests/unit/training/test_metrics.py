"""Metrics agree with scikit-learn, and with values derived by hand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    roc_auc_score,
)

from adaptune.training.metrics import METRICS, Predictions, metric_of

NAMES = ("cat", "dog", "owl", "yak")


def random_predictions(
    classes: int, images: int = 300
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], Predictions]:
    """Logits that are right half of the time, skewed labels, and the predictions."""
    random = np.random.default_rng(classes)
    labels = np.minimum(random.geometric(0.5, images) - 1, classes - 1)
    logits = random.normal(size=(images, classes)).round(1)  # rounded: some of them tie
    logits[np.arange(images), labels] += 1.0
    return logits, labels, Predictions(logits, labels, NAMES[:classes])


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_the_metrics_are_those_of_scikit_learn(classes: int) -> None:
    logits, labels, predictions = random_predictions(classes)
    predicted = logits.argmax(axis=1)
    values = predictions.values()
    assert values["accuracy"] == pytest.approx(accuracy_score(labels, predicted))
    assert values["mean_recall"] == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert values["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    expected = confusion_matrix(labels, predicted)
    np.testing.assert_array_equal(predictions.confusion(), expected)


def test_auroc_is_that_of_scikit_learn_with_ties() -> None:
    logits, labels, predictions = random_predictions(2)
    margins = logits[:, 1] - logits[:, 0]
    assert len(np.unique(margins)) < len(margins)
    assert predictions.values()["auroc"] == pytest.approx(roc_auc_score(labels, margins))


@pytest.mark.parametrize("classes", [2, 3])
def test_an_image_that_counts_twice_is_an_image_that_comes_twice(classes: int) -> None:
    logits, labels, predictions = random_predictions(classes)
    counts = np.random.default_rng(0).integers(0, 3, len(labels))
    repeated = np.repeat(np.arange(len(labels)), counts)
    expected = Predictions(logits[repeated], labels[repeated], NAMES[:classes])
    assert predictions.values(counts) == pytest.approx(expected.values())


def test_auroc_does_not_tie_where_the_softmax_saturates() -> None:
    logits = np.array([[0.0, 800.0], [0.0, 900.0]])
    assert Predictions(logits, np.array([0, 1]), NAMES[:2]).values()["auroc"] == 1.0


@pytest.mark.parametrize("classes", [3, 4])
def test_there_is_no_auroc_of_more_than_two_classes(classes: int) -> None:
    assert "auroc" not in random_predictions(classes)[2].values()


def test_there_is_no_auroc_if_a_class_has_no_image() -> None:
    predictions = Predictions(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([1, 1]), NAMES[:2])
    assert predictions.values() == {"accuracy": 0.5, "mean_recall": 0.5, "macro_f1": 2 / 3}
    assert predictions.class_scores().auroc is None


def test_a_class_without_images_counts_in_no_mean() -> None:
    # Of two cats, one is taken for an owl; the dog is right; there is no owl.
    logits = np.eye(3)[[0, 2, 1]]
    scores = Predictions(logits, np.array([0, 0, 1]), NAMES[:3]).class_scores()
    assert scores.recall == {"cat": 0.5, "dog": 1.0, "owl": None}
    assert scores.mean_recall == pytest.approx(0.75)
    assert scores.macro_f1 == pytest.approx((2 / 3 + 1) / 2)


def test_a_classifier_that_knows_only_the_frequent_class_has_a_low_mean_recall() -> None:
    labels = np.array([0] * 95 + [1] * 5)
    values = Predictions(np.tile([1.0, 0.0], (100, 1)), labels, NAMES[:2]).values()
    assert (values["accuracy"], values["mean_recall"], values["auroc"]) == (0.95, 0.5, 0.5)


def test_an_objective_with_target_labels_is_a_metric_on_target_val() -> None:
    assert [metric_of(f"target_val_{metric}") for metric in METRICS] == list(METRICS)
    for validator in ("source_val", "entropy", "ensemble", "mean_recall"):
        assert metric_of(validator) is None
