from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support.tiny_trial import CLASSES, CPU, make_data, make_source_weights, make_spec
from torch import nn

from adaptune.data.device_images import DeviceImages
from adaptune.data.image_set import in_memory
from adaptune.errors import SpecError
from adaptune.models.classifiers import Classifier
from adaptune.spec.schema import TrialSpec
from adaptune.training import batch_norm
from adaptune.training.batch_norm import (
    adapted_copy,
    adapted_weights,
    check_batch_norm,
    running_statistics,
)
from adaptune.training.build import build_classifier
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.checkpoint_format import eval_weights
from adaptune.training.loop import fit
from adaptune.training.record import EpochRecord


def make_dtn_spec(**training: Any) -> TrialSpec:
    options = {"batch_size": 8, "adapt_batch_norm": True} | training
    return make_spec(classifier="dtn", size=32, dropout=0.5, **options)


def make_classifier(spec: TrialSpec) -> Classifier:
    classifier = build_classifier(spec.model.classifier, spec.data.target, CLASSES)
    classifier.load_state_dict(make_source_weights(spec))
    return classifier.train()


def images_of(count: int) -> DeviceImages:
    """Images whose brightness grows from the first to the last."""
    levels = np.linspace(20, 230, count).astype(np.uint8)
    pixels = np.broadcast_to(levels[:, None, None, None], (count, 1, 32, 32)).copy()
    pixels[:, :, ::2] //= 2
    return DeviceImages(in_memory(pixels), None, CPU)


def test_the_statistics_of_the_first_layer_are_those_of_its_inputs() -> None:
    spec = make_dtn_spec(batch_size=64)
    classifier = make_classifier(spec)
    images = images_of(40)
    adapted = adapted_copy(classifier, images, spec)
    with torch.no_grad():
        inputs = classifier.net[0](images.take(torch.arange(40)))  # type: ignore[index]
    first = running_statistics(adapted)
    mean = inputs.mean(dim=(0, 2, 3))
    variance = inputs.var(dim=(0, 2, 3))
    torch.testing.assert_close(first["net.1.running_mean"], mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(first["net.1.running_var"], variance, rtol=1e-4, atol=1e-5)


def test_images_that_are_stored_in_an_order_have_the_statistics_of_all() -> None:
    images = images_of(256)
    classifier = make_classifier(make_dtn_spec())
    by_batch_size = {}
    for batch_size in (32, 256):
        spec = make_dtn_spec(batch_size=batch_size)
        adapted = adapted_copy(classifier, images, spec)
        by_batch_size[batch_size] = running_statistics(adapted)
    chunks, whole = by_batch_size[32], by_batch_size[256]
    # In the stored order, the images of a chunk are nearly equal, and their variance almost 0.
    ratio = chunks["net.1.running_var"] / whole["net.1.running_var"]
    assert ratio.min() > 0.7
    assert ratio.max() < 1.4
    torch.testing.assert_close(
        chunks["net.1.running_mean"], whole["net.1.running_mean"], rtol=1e-3, atol=1e-4
    )


def test_the_classifier_itself_and_the_global_generator_are_left_alone() -> None:
    spec = make_dtn_spec()
    classifier = make_classifier(spec)
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    generator = torch.get_rng_state()
    adapted = adapted_copy(classifier, images_of(20), spec)
    assert torch.equal(torch.get_rng_state(), generator)
    assert classifier.training
    assert not any(module.training for module in adapted.modules())
    after = classifier.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    for name, parameter in adapted.named_parameters():
        assert torch.equal(parameter, before[name])


def test_the_same_seed_gives_the_same_statistics_with_dropout() -> None:
    spec = make_dtn_spec()
    first = running_statistics(adapted_copy(make_classifier(spec), images_of(50), spec))
    torch.manual_seed(1)
    second = running_statistics(adapted_copy(make_classifier(spec), images_of(50), spec))
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_a_large_target_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_norm, "MAX_IMAGES", 16)
    spec = make_dtn_spec()
    statistics = running_statistics(adapted_copy(make_classifier(spec), images_of(50), spec))
    assert statistics["net.1.num_batches_tracked"] == 2  # chunks of 8 images


def test_without_the_option_the_weights_stay_the_same() -> None:
    spec = make_dtn_spec(adapt_batch_norm=False)
    weights = make_source_weights(spec)
    same = adapted_weights(spec, weights, images_of(8), CLASSES)
    assert all(value is weights[name] for name, value in same.items())


def test_a_network_without_batch_norm_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check_batch_norm(make_dtn_spec())
    check_batch_norm(make_spec(classifier="lenet"))
    lenet = nn.Sequential(nn.Flatten(), nn.Linear(1024, 2))
    monkeypatch.setattr(batch_norm, "build_classifier", lambda *_, **__: lenet)
    check_batch_norm(make_dtn_spec(adapt_batch_norm=False))
    with pytest.raises(SpecError, match="adapt_batch_norm: classifier dtn has no batch norm"):
        check_batch_norm(make_dtn_spec())


def train(spec: TrialSpec, folder: CheckpointFolder | None = None) -> list[EpochRecord]:
    data = make_data(32)
    weights = make_source_weights(spec)
    return list(fit(spec, data, weights, device=CPU, checkpoints=folder))


def test_a_trial_is_scored_and_kept_with_the_statistics_of_the_target(tmp_path: Any) -> None:
    spec = make_dtn_spec(epochs=2, steps_per_epoch=2, classifier_ema_decay=0.9)
    checkpoints = CheckpointFolder(str(tmp_path / "checkpoints"))
    records = train(spec, checkpoints)
    contents = checkpoints.load(2)
    data = make_data(32)
    plain = dict(contents["state"]["averages"]["f_t"])
    target = DeviceImages(data.target_train_images, None, CPU)
    expected = adapted_weights(spec, plain, target, CLASSES)
    exported = eval_weights(contents, "f_t")
    assert all(torch.equal(value, exported[name]) for name, value in expected.items())
    assert not torch.equal(plain["net.1.running_mean"], exported["net.1.running_mean"])
    classifier = make_classifier(spec).eval()
    classifier.load_state_dict(exported)
    images = DeviceImages(data.target_val_images, data.target_val_labels, CPU)
    with torch.no_grad():
        logits = classifier(images.take(torch.arange(len(images)))).double()
    loss = float(nn.functional.cross_entropy(logits, images.labels))
    assert records[1].target_val_loss == pytest.approx(loss, rel=1e-4)


def test_the_training_itself_does_not_depend_on_the_option() -> None:
    losses = []
    for adapt in (False, True):
        spec = make_dtn_spec(epochs=2, steps_per_epoch=2, adapt_batch_norm=adapt)
        losses.append([record.losses for record in train(spec)])
    assert losses[0] == losses[1]
