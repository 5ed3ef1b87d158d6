"""The test scores of all models in a summary, for tables and figures."""

from __future__ import annotations

from adaptune.evaluation.summary import Summary
from adaptune.evaluation.test_scores import (
    ADAPTED,
    FDA,
    INFORMATION_ONLY,
    NO_GAN,
    SOURCE_ONLY,
    TARGET_SUPERVISED,
)
from adaptune.training.bootstrap import Estimate
from adaptune.training.metrics import ACCURACY, METRICS

# Models that are evaluated on the held-out test, and the key of each accuracy.
MODELS = {
    SOURCE_ONLY: "source_only_test_accuracy",
    INFORMATION_ONLY: "information_only_test_accuracy",
    NO_GAN: "no_gan_test_accuracy",
    FDA: "fda_test_accuracy",
    ADAPTED: "target_test_accuracy",
    TARGET_SUPERVISED: "target_supervised_test_accuracy",
}


def model_key(name: str) -> str:
    """Return the key of a model in `test_metrics`, such as `source_only` for `source only`."""
    return name.lower().replace(" ", "_")


def accuracies_by_model(summary: Summary) -> dict[str, float]:
    """Return the known test accuracies by the name of the model."""
    accuracies = {}
    for name, key in MODELS.items():
        accuracy = getattr(summary, key)
        if accuracy is not None:
            accuracies[name] = accuracy
    return accuracies


def verdict_metric_name(summary: Summary) -> str | None:
    """Return the name of the metric that the verdict compares; None if it is the accuracy."""
    metric = summary.verdict_metric
    return None if metric in (None, ACCURACY) else METRICS[metric]


def verdict_estimates(summary: Summary) -> dict[str, Estimate]:
    """Return what the verdict compares by the name of the model; empty if it is the accuracy."""
    metric = summary.verdict_metric or ACCURACY
    if metric == ACCURACY or summary.test_metrics is None:
        return {}
    estimates = {}
    for name in MODELS:
        by_metric = summary.test_metrics.get(model_key(name), {})
        if metric in by_metric:
            estimates[name] = by_metric[metric]
    return estimates
