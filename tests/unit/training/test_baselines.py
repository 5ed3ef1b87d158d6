from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support.tiny_trial import CLASSES, CPU, WITH_MEMORY, make_data, make_source_weights, make_spec
from torch import nn

from adaptune.data.device_images import DeviceImages
from adaptune.losses.classification import task_loss
from adaptune.losses.information import information_loss
from adaptune.training.baselines import adapt_without_gan
from adaptune.training.build import build_classifier

Weights = dict[str, torch.Tensor]


def adapt(
    *, task: bool, shuffled_labels: bool = False, labelled_target: bool = False, **options: Any
) -> Weights:
    spec = make_spec(**WITH_MEMORY | {"epochs": 1, "steps_per_epoch": 3} | options)
    data = make_data(spec.data.source.size)
    labels = data.source_train_labels
    if shuffled_labels:
        labels = (labels + 1) % CLASSES
    source = DeviceImages(data.source_train_images, labels, CPU)
    target = DeviceImages(data.target_train_images, None, CPU)
    weights = {name: value.clone() for name, value in make_source_weights(spec).items()}
    labelled = None
    if labelled_target:
        labels = np.arange(6) % CLASSES
        labelled = DeviceImages(data.target_train_images.subset(np.arange(6)), labels, CPU)
    return adapt_without_gan(
        spec, source, target, weights, CLASSES, task=task, labelled_target=labelled
    )


def same(first: Weights, second: Weights) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


def test_information_only_reads_no_label_of_the_source() -> None:
    assert same(adapt(task=False), adapt(task=False, shuffled_labels=True))


def test_no_gan_learns_the_source_labels_as_well() -> None:
    assert not same(adapt(task=True), adapt(task=True, shuffled_labels=True))
    assert same(adapt(task=True), adapt(task=True))


def test_the_seed_decides_the_result_whatever_the_global_generator_did() -> None:
    first = adapt(task=True, dropout=0.5)
    torch.manual_seed(1)
    assert same(adapt(task=True, dropout=0.5), first)


def classifier() -> nn.Module:
    spec = make_spec()
    net = build_classifier(spec.model.classifier, spec.data.source, CLASSES)
    net.load_state_dict(make_source_weights(spec))
    return net


def test_one_update_of_information_only_follows_the_gradient_of_the_information_loss() -> None:
    adapted = adapt(
        task=False,
        steps_per_epoch=1,
        batch_size=11,  # all target images
        augment={},
        gan_augment={},
        classifier_ema_decay=0.0,
        classifier_lr=1e-3,
    )
    net = classifier()
    target = DeviceImages(make_data().target_train_images, None, CPU)
    information_loss(net(target.take(torch.arange(11)))).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None
        # Adam's first step moves each weight by lr against the sign of its gradient.
        clear = parameter.grad.abs() > 1e-5
        expected = parameter.detach() - 1e-3 * parameter.grad.sign()
        torch.testing.assert_close(adapted[name][clear], expected[clear], rtol=0, atol=5e-6)


def test_no_gan_lowers_the_task_loss_on_source_images() -> None:
    data = make_data()
    images = DeviceImages(data.source_train_images, data.source_train_labels, CPU)
    every = torch.arange(len(images))
    net = classifier().eval()
    adapted = adapt(task=True, steps_per_epoch=20, classifier_lr=1e-3)
    with torch.no_grad():
        before = task_loss(net(images.take(every)), images.labels)
        net.load_state_dict(adapted)
        after = task_loss(net(images.take(every)), images.labels)
    assert after < before


def test_the_average_differs_from_the_last_weights() -> None:
    assert not same(adapt(task=True), adapt(task=True, classifier_ema_decay=0.0))


@pytest.mark.parametrize("task", [False, True])
def test_balanced_sampling_concerns_the_baseline_that_reads_the_source(task: bool) -> None:
    balanced = adapt(task=task, source_sampling="balanced")
    assert same(adapt(task=task), balanced) is not task


@pytest.mark.parametrize(
    "option",
    [{"augment": {"flip": 0.5}}, {"augment": {"erase": 0.5}}, {"gan_augment": {"enlarge": 1.5}}],
)
def test_the_images_are_augmented_as_those_of_f_t(option: dict[str, Any]) -> None:
    plain: dict[str, Any] = {"augment": {}, "gan_augment": {}}
    changed = adapt(task=True, **(plain | option))
    assert same(changed, adapt(task=True, **(plain | option)))
    assert not same(changed, adapt(task=True, **plain))


@pytest.mark.parametrize("task", [False, True])
def test_the_baselines_learn_the_labelled_target_images(task: bool) -> None:
    assert not same(adapt(task=task), adapt(task=task, labelled_target=True))
    assert same(adapt(task=task, labelled_target=True), adapt(task=task, labelled_target=True))
