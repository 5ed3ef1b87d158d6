"""The metric of a search and the labels of its data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.fake_run import make_splits, opened

from adaptune.errors import SpecError
from adaptune.workflows.metric_check import check_metric


def test_the_metric_needs_target_labels() -> None:
    splits = make_splits()
    unlabelled = np.full_like(splits.trial.target_val_labels, -1)
    trial = replace(splits.trial, target_val_labels=unlabelled)
    without_labels = opened(replace(splits, trial=trial))
    check_metric("target_val_accuracy", "optdigits", opened(splits))
    check_metric("ensemble", "optdigits", without_labels)
    with pytest.raises(SpecError, match=r"no sample of optdigits has a label; .*=ensemble"):
        check_metric("target_val_accuracy", "optdigits", without_labels)


@pytest.mark.parametrize("metric", ["target_val_mean_recall", "target_val_auroc"])
def test_every_metric_on_target_val_needs_target_labels(metric: str) -> None:
    data = opened(make_splits())
    data.target_labelled = False
    with pytest.raises(SpecError, match=rf"{metric}: no sample of optdigits has a label; "):
        check_metric(metric, "optdigits", data)


def test_auroc_needs_two_classes_with_images_in_target_val() -> None:
    data = opened(make_splits())
    check_metric("target_val_macro_f1", "optdigits", data)
    with pytest.raises(SpecError, match=r"two classes, and the data has 3; .*mean_recall"):
        check_metric("target_val_auroc", "optdigits", data)
    data.class_names = ("a", "b")
    data.target_val_labels = np.array([0, 1, 1])
    check_metric("target_val_auroc", "optdigits", data)
    data.target_val_labels = np.array([1, 1, 1])
    with pytest.raises(SpecError, match="optdigits has labels of one class only"):
        check_metric("target_val_auroc", "optdigits", data)
