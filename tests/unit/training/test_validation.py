from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, recall_score
from support.tiny_trial import CLASSES, CPU, make_data, make_source_weights, make_spec, make_state
from torch.nn import functional as F  # noqa: N812  (its usual name)

from adaptune.data.device_images import DeviceImages
from adaptune.errors import NonFiniteLossError
from adaptune.models.classifiers import Classifier
from adaptune.training import inference
from adaptune.training.build import build_classifier
from adaptune.training.validation import Outputs, Validation, predict_all
from adaptune.training.validators import VALIDATORS


@pytest.fixture
def classifier() -> Classifier:
    spec = make_spec(dropout=0.5)
    net = build_classifier(spec.model.classifier, spec.data.source, CLASSES)
    net.load_state_dict(make_source_weights(spec))
    return net


def test_accuracy_and_cross_entropy_by_hand() -> None:
    logits = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    outputs = Outputs(logits, torch.zeros(3, 1))
    labels = torch.tensor([0, 0, 0])
    assert outputs.accuracy(labels) == pytest.approx(2 / 3)
    expected = (np.log(2) + np.log(1 + np.exp(-2)) + np.log(1 + np.exp(2))) / 3
    assert outputs.cross_entropy(labels) == pytest.approx(expected)


@pytest.mark.parametrize("batch_size", [4, 512])
def test_predictions_are_those_of_the_network_in_eval_mode(
    batch_size: int, classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "MAX_BATCH", batch_size)
    images = DeviceImages(make_data().target_train_images, None, CPU)
    outputs = predict_all(classifier.train(), images)
    with torch.no_grad():
        expected = classifier.eval()(images.take(torch.arange(len(images))))
    assert outputs.logits.dtype == torch.float64
    assert outputs.features.dtype == torch.float32
    torch.testing.assert_close(outputs.logits, expected.double(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        classifier.head(outputs.features).double(), outputs.logits, rtol=1e-5, atol=1e-6
    )


def test_scores_of_both_domains_and_of_each_validator(classifier: Classifier) -> None:
    data = make_data()
    scores = Validation(data, CPU).scores(classifier, step=1)
    source = predict_all(
        classifier, DeviceImages(data.source_val_images, data.source_val_labels, CPU)
    )
    target = predict_all(
        classifier, DeviceImages(data.target_val_images, data.target_val_labels, CPU)
    )
    source_hits = source.logits.argmax(dim=1).numpy() == data.source_val_labels
    target_hits = target.logits.argmax(dim=1).numpy() == data.target_val_labels
    target_labels = torch.from_numpy(data.target_val_labels)
    assert scores.source_val_accuracy == pytest.approx(source_hits.mean())
    assert scores.target_val_accuracy == pytest.approx(target_hits.mean())
    assert scores.target_val_loss == pytest.approx(
        float(F.cross_entropy(target.logits, target_labels))
    )
    assert scores.target_val is not None
    predicted = target.logits.argmax(dim=1).numpy()
    recalls = recall_score(
        data.target_val_labels, predicted, labels=range(CLASSES), average=None, zero_division=0
    )
    assert list(scores.target_val.recall) == list(data.class_names)
    assert list(scores.target_val.recall.values()) == pytest.approx(recalls.tolist())
    assert scores.target_val.mean_recall == pytest.approx(recalls.mean())
    assert scores.validators.keys() == VALIDATORS.keys()
    assert scores.validators["source_val"] == pytest.approx(scores.source_val_accuracy)


def source_predictions(classifier: Classifier) -> npt.NDArray[np.int64]:
    data = make_data()
    images = DeviceImages(data.source_val_images, None, CPU)
    predicted: npt.NDArray[np.int64] = predict_all(classifier, images).logits.argmax(dim=1).numpy()
    return predicted


def test_without_target_labels_there_is_no_score_of_the_target(classifier: Classifier) -> None:
    data = make_data()
    unlabelled = replace(data, target_val_labels=np.full_like(data.target_val_labels, -1))
    scores = Validation(unlabelled, CPU).scores(classifier, step=1)
    assert scores.target_val_accuracy is None
    assert scores.target_val_loss is None
    assert scores.target_val is None
    assert scores.source_val.mean_recall == pytest.approx(
        balanced_accuracy_score(data.source_val_labels, source_predictions(classifier))
    )
    assert scores.validators == Validation(data, CPU).scores(classifier, step=1).validators


def test_a_classifier_that_became_nan_fails_with_step_and_term() -> None:
    state = make_state(make_spec())
    classifier = cast(Classifier, state.networks.f_t)
    with torch.no_grad():
        next(classifier.parameters()).fill_(torch.nan)
    with pytest.raises(NonFiniteLossError, match=r"not finite after step 7, .* term `task`"):
        Validation(make_data(), CPU).scores(classifier, 7)


def test_a_target_that_lacks_a_class_has_all_scores(classifier: Classifier) -> None:
    labels = np.zeros(9, np.int64)
    scores = Validation(replace(make_data(), target_val_labels=labels), CPU).scores(classifier, 1)
    assert scores.target_val_accuracy is not None
    assert scores.target_val_loss is not None
    assert np.isfinite(list(scores.validators.values())).all()


def test_validators_can_be_left_out(classifier: Classifier) -> None:
    data = make_data()
    scores = Validation(data, CPU, has_validators=False).scores(classifier, 1)
    assert scores == replace(Validation(data, CPU).scores(classifier, 1), validators={})
