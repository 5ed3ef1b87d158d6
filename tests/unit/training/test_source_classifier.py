from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.tiny_trial import CLASSES, CPU, make_data, make_spec, with_classifier
from torchvision import models

from adaptune.data.device_images import DeviceImages
from adaptune.losses.classification import task_loss
from adaptune.spec.schema import TrialSpec
from adaptune.training import source_classifier
from adaptune.training.augment.fourier import fourier_adapted
from adaptune.training.build import build_classifier
from adaptune.training.pretrained import forget_pretrained
from adaptune.training.source_classifier import (
    to_cpu,
    train_source_classifier,
    train_supervised,
)


def train(purpose: str = "source", seed: int = 0, **stage: Any) -> dict[str, torch.Tensor]:
    settings = {"steps": 5, "batch_size": 7} | stage
    spec = make_spec(dropout=0.5, augment={"shift": 0.1}, source=settings)
    spec = spec.model_copy(update={"seed": seed})
    return train_supervised(spec, training_images(spec), CLASSES, purpose)


def training_images(spec: TrialSpec) -> DeviceImages:
    data = make_data(spec.data.source.size)
    return DeviceImages(data.source_train_images, data.source_train_labels, CPU)


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


def test_the_seed_and_the_purpose_decide_the_weights() -> None:
    before = torch.get_rng_state()
    first = train()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    assert same(train(), first)
    assert not same(train(purpose="target-supervised"), first)
    assert not same(train(seed=1), first)


def test_the_weights_fit_a_classifier_that_learned_its_training_images() -> None:
    spec = make_spec(augment={})
    images = training_images(spec)
    net = build_classifier(spec.model.classifier, spec.data.source, CLASSES)
    net.load_state_dict(train(steps=60, batch_size=14))
    with torch.no_grad():
        predictions = net.eval()(images.take(torch.arange(len(images)))).argmax(dim=1)
    accuracy = float((predictions == images.labels).float().mean())
    assert accuracy > 0.9


@pytest.mark.parametrize("is_resident", [True, False])
def test_it_learns_in_the_colours_of_the_target_if_the_spec_asks_for_it(is_resident: bool) -> None:
    stage: dict[str, Any] = {"steps": 60, "batch_size": 14, "lr": 1e-2}
    spec = make_spec(augment={}, source=stage | {"fourier_beta": 0.2})
    data = make_data(spec.data.source.size)
    coloured = train_source_classifier(spec, data, CPU, is_resident=is_resident)
    plain = train_source_classifier(spec, data, CPU, in_target_colours=False)
    assert same(plain, train_source_classifier(make_spec(augment={}, source=stage), data, CPU))

    images = training_images(spec)
    places = torch.arange(len(images))
    colours = DeviceImages(data.target_train_images, None, CPU).take(places % 11)
    changed = fourier_adapted(images.take(places), colours, 0.2)
    losses = []
    for weights in (coloured, plain):
        net = build_classifier(spec.model.classifier, spec.data.source, CLASSES)
        net.load_state_dict(weights)
        with torch.no_grad():
            losses.append(float(task_loss(net.eval()(changed), images.labels)))
    assert losses[0] < losses[1]


def test_label_smoothing_leaves_the_classifier_less_certain() -> None:
    largest = []
    for label_smoothing in (0.0, 0.3):
        spec = make_spec(augment={})
        net = build_classifier(spec.model.classifier, spec.data.source, CLASSES)
        stage: dict[str, Any] = {"steps": 60, "batch_size": 14, "lr": 1e-2}
        net.load_state_dict(train(label_smoothing=label_smoothing, **stage))
        with torch.no_grad():
            probabilities = net.eval()(training_images(spec).take(torch.arange(14))).softmax(1)
        largest.append(float(probabilities.amax(1).mean()))
    assert largest[1] < largest[0] - 0.05


def test_a_backbone_starts_from_its_pretrained_weights(tmp_path: Path) -> None:
    forget_pretrained()
    file = tmp_path / "weights.pth"
    reference = models.mobilenet_v3_small().state_dict()
    torch.save(reference, file)
    spec = make_spec(size=32, source={"steps": 1, "batch_size": 4, "lr": 1e-12})
    spec = with_classifier(spec, "torchvision:mobilenet_v3_small", weights=str(file), bottleneck=5)
    weights = train_supervised(spec, training_images(spec), CLASSES)
    name = "features.0.0.weight"
    torch.testing.assert_close(weights[f"body.{name}"], reference[name])
    # A network that gets the weights of f_S reads no file.
    file.unlink()
    forget_pretrained()
    build_classifier(spec.model.classifier, spec.data.source, CLASSES).load_state_dict(weights)


@pytest.mark.parametrize(
    "augment", [{"crop": [0.3, 0.6]}, {"jitter": {"contrast": 0.5}}, {"policy": "rand"}]
)
def test_the_augmentation_changes_the_weights(augment: dict[str, Any]) -> None:
    def trained(options: dict[str, Any]) -> dict[str, torch.Tensor]:
        spec = make_spec(augment=options, source={"steps": 2, "batch_size": 7})
        return train_supervised(spec, training_images(spec), CLASSES)

    assert same(trained(augment), trained(augment))
    assert not same(trained(augment), trained({}))


@pytest.mark.parametrize("steps", [0, 1])
def test_weights_on_the_cpu_are_a_copy(steps: int) -> None:
    net = torch.nn.Linear(2, 2)
    weights = to_cpu(net)
    with torch.no_grad():
        net.weight.add_(steps)
    assert torch.equal(weights["weight"] + steps, net.weight)
    assert not weights["weight"].requires_grad


@pytest.mark.parametrize(("sampling", "fewest"), [("natural", 1), ("balanced", 3)])
def test_balanced_batches_have_all_classes_however_rare_they_are(
    sampling: str, fewest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec(source={"steps": 4, "batch_size": 3}, source_sampling=sampling)
    labels = np.array([0] * 12 + [1, 2])
    images = DeviceImages(make_data().source_train_images, labels, CPU)
    classes_per_batch: list[int] = []

    def count_classes(
        logits: torch.Tensor, labels: torch.Tensor, label_smoothing: float
    ) -> torch.Tensor:
        classes_per_batch.append(len(labels.unique()))
        return logits.sum()

    monkeypatch.setattr(source_classifier, "task_loss", count_classes)
    train_supervised(spec, images, CLASSES)
    assert min(classes_per_batch) == fewest
