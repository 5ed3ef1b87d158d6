"""Checks of a search against the labels of its data."""

from __future__ import annotations

from adaptune.data.splits import OpenSplits
from adaptune.errors import SpecError
from adaptune.spec.schema import SearchSpec
from adaptune.training.metrics import AUROC, metric_of


def check_labelled_target(spec: SearchSpec) -> None:
    """Check that trials learn from the labelled target images, if there are any.

    `confirm` and `ablate` may train settings in which they do not.

    Raises:
        SpecError: no trial would.
    """
    if not spec.data.target.train_labels or "loss_weights.task_target" in spec.space:
        return
    if not spec.trial({}).loss_weights.task_target:
        raise SpecError(
            "data.target.train_labels has no effect: set or search loss_weights.task_target"
        )


def check_metric(metric: str, target: str, data: OpenSplits) -> None:
    """Check that the target has the labels and the classes that the metric needs.

    Args:
        target: name of the target domain.

    Raises:
        SpecError: it has not.
    """
    if metric_of(metric) is None:
        return
    if not data.target_labelled:
        raise SpecError(
            f"search.metric {metric}: no sample of {target} has a label; label some samples of"
            " each class, or choose by a validator that needs no label:"
            " --set search.metric=ensemble"
        )
    if metric_of(metric) != AUROC:
        return
    classes = len(data.class_names)
    if classes != 2:
        raise SpecError(
            f"search.metric {metric} needs two classes, and the data has {classes}; choose by"
            " another metric: --set search.metric=target_val_mean_recall"
        )
    if len(set(data.target_val_labels.tolist())) < 2:
        raise SpecError(
            f"search.metric {metric} needs images of both classes in target_val, and {target} has"
            " labels of one class only; label some samples of each class, or choose by a validator"
            " that needs no label: --set search.metric=ensemble"
        )
