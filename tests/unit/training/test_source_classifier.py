from __future__ import annotations

from typing import Any

import pytest
import torch
from support.tiny_trial import CLASSES, CPU, make_data, make_spec

from adaptune.data.device_images import DeviceImages
from adaptune.spec.schema import TrialSpec
from adaptune.training.build import build_classifier
from adaptune.training.source_classifier import to_cpu, train_supervised


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
