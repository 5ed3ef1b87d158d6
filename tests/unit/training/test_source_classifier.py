"""f_S, and what a search is held against."""

from __future__ import annotations

import torch
from support.tiny_trial import CLASSES, CPU, WITH_MEMORY, make_data, make_source_weights, make_spec

from adaptune.data.device_images import DeviceImages
from adaptune.training.source_classifier import State, adapt_without_gan


def adapted(*, task: bool, shuffled_labels: bool = False) -> State:
    spec = make_spec(**WITH_MEMORY | {"epochs": 1, "steps_per_epoch": 3})
    data = make_data(spec.data.source.size)
    labels = data.source_train_labels
    source = DeviceImages(
        data.source_train_images, (labels + 1) % CLASSES if shuffled_labels else labels, CPU
    )
    target = DeviceImages(data.target_train_images, None, CPU)
    weights = {name: value.clone() for name, value in make_source_weights(spec).items()}
    return adapt_without_gan(spec, source, target, weights, CLASSES, task=task)


def same(some: State, other: State) -> bool:
    return all(torch.equal(value, other[name]) for name, value in some.items())


def test_information_only_reads_no_label_of_the_source() -> None:
    assert same(adapted(task=False), adapted(task=False, shuffled_labels=True))


def test_no_gan_goes_on_learning_the_source_labels() -> None:
    assert not same(adapted(task=True), adapted(task=True, shuffled_labels=True))
    assert same(adapted(task=True), adapted(task=True))
