"""Options of the evaluation that the data or the network do not allow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.fake_run import make_splits, make_tiny_search, opened

from adaptune.errors import SpecError
from adaptune.workflows import search
from adaptune.workflows.search import check_batch_norm, check_metric


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


def test_batch_norm_can_be_adapted_only_if_the_classifier_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    form = {"domain": "noise", "size": 32, "channels": 1}
    spec = make_tiny_search(
        data={"source": form, "target": form},
        model={"classifier": {"name": "dtn"}},
        training={"adapt_batch_norm": True},
    )
    check_batch_norm(spec)
    monkeypatch.setattr(search, "has_batch_norm", lambda trial: False)
    with pytest.raises(SpecError, match="adapt_batch_norm: classifier dtn has no batch norm"):
        check_batch_norm(spec)
    check_batch_norm(make_tiny_search())
