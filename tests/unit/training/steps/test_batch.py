from __future__ import annotations

import pytest
import torch
from support.tiny_trial import CPU, make_data, make_images, make_spec, make_state
from torch import nn

from adaptune.data.device_images import DeviceImages
from adaptune.data.sampling import UnpairedSampler
from adaptune.training import inference
from adaptune.training.steps.batch import Batch, TrainingImages, predict_labels

SAMPLER = UnpairedSampler(14, 11, batch_size=4, seed=0)


def make_batch(images: TrainingImages, *, true_semantic: bool) -> Batch:
    indices = images.indices(SAMPLER, 3)
    return images.batch(indices, indices, true_semantic=true_semantic)


def test_a_batch_holds_the_samples_of_its_step() -> None:
    spec = make_spec()
    images = make_images(spec, make_state(spec))
    batch = make_batch(images, true_semantic=False)
    source, target = SAMPLER.indices(3)
    assert torch.equal(batch.source, images.source.take(source))
    assert torch.equal(batch.target, images.target.take(target))
    assert torch.equal(batch.source_labels, images.source.labels[source])


def test_semantic_labels_are_predicted_by_f_s() -> None:
    spec = make_spec()
    state = make_state(spec)
    batch = make_batch(make_images(spec, state), true_semantic=False)
    f_s = state.networks.f_s
    assert torch.equal(batch.semantic_source, f_s(batch.source).argmax(dim=1))
    assert torch.equal(batch.semantic_target, f_s(batch.target).argmax(dim=1))


def test_true_semantic_labels_are_those_of_the_source_only() -> None:
    spec = make_spec()
    state = make_state(spec)
    images = make_images(spec, state)
    predicted = make_batch(images, true_semantic=False)
    true = make_batch(images, true_semantic=True)
    assert torch.equal(true.semantic_source, true.source_labels)
    assert torch.equal(true.semantic_target, predicted.semantic_target)


def test_images_without_labels_of_f_s_have_none_for_the_semantic_term() -> None:
    images = TrainingImages(make_data(), CPU)
    batch = make_batch(images, true_semantic=False)
    assert (batch.semantic_source, batch.semantic_target) == (None, None)
    parts = batch.parts(2)
    assert [part.first for part in parts] == [0, 2]
    assert [part.semantic_target for part in parts] == [None, None]
    assert torch.equal(torch.cat([part.target for part in parts]), batch.target)


class Recorder(nn.Module):
    """A classifier that predicts class 1 and remembers the sizes of its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        assert not self.training
        self.sizes.append(len(images))
        return torch.tensor([0.0, 1.0, 0.5]).expand(len(images), 3)


def test_labels_of_all_images_are_predicted_in_batches_and_in_eval_mode(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inference, "MAX_BATCH", 6)
    images = DeviceImages(make_data().source_train_images, None, CPU)
    classifier = Recorder().train()
    assert predict_labels(classifier, images).tolist() == [1] * 14
    assert classifier.sizes == [6, 6, 2]
