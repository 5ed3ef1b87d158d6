"""A trial small enough for a unit test: 16 px, width 4, three classes of noise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from adaptune.data import store
from adaptune.data.image_files import ImageFiles
from adaptune.data.image_set import ImageSet, in_memory
from adaptune.data.sampling import UnpairedSampler
from adaptune.data.splits import TrialData
from adaptune.data.store import StoredImages, open_store, prepare_missing
from adaptune.spec.data import DomainSpec
from adaptune.spec.model import ClassifierSpec
from adaptune.spec.schema import TrialSpec
from adaptune.training.build import build_classifier
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.checkpoint_format import ResumePoint, Snapshot
from adaptune.training.record import EpochRecord
from adaptune.training.restore import Unrestored
from adaptune.training.state import StateDict, TrainingState, build_state
from adaptune.training.steps.batch import Batch, TrainingImages

CLASSES = 3
CPU = torch.device("cpu")
# Everything with a memory except dropout: pools, averages, augmentation, both gates.
WITH_MEMORY: dict[str, Any] = {
    "pool_size": 6,
    "ema_decay": 0.9,
    "classifier_ema_decay": 0.9,
    "augment": {"shift": 0.1, "rotate": 10, "scale": 0.1, "flip": 0.5, "erase": 0.5},
    "gan_augment": {"flip": 0.5, "enlarge": 1.2},
    "semantic_gate": 1.1,
    "feature_gate": 0.5,
}


def make_spec(
    *,
    method: str = "cycada",
    size: int = 16,
    generator: str = "unshuffle",
    classifier: str = "lenet",
    dropout: float = 0.0,
    loss_weights: dict[str, float] | None = None,
    train_labels: int = 0,
    **training: Any,
) -> TrialSpec:
    domain = {"domain": "noise", "size": size, "channels": 1}
    small = {"epochs": 4, "steps_per_epoch": 2, "batch_size": 4, "pool_size": 0, "init_gain": 0.1}
    return TrialSpec.model_validate(
        {
            "method": method,
            "data": {"source": domain, "target": domain | {"train_labels": train_labels}},
            "model": {
                "generator": {"name": generator, "width": 4, "blocks": 1},
                "discriminator": {"width": 4, "layers": 2},
                "classifier": {"name": classifier, "dropout": dropout},
                "feature_discriminator": {"width": 8},
            },
            "training": small | training,
            "loss_weights": {"identity": 5, "information": 0.3} | (loss_weights or {}),
        }
    )


def with_classifier(spec: TrialSpec, name: str, **options: Any) -> TrialSpec:
    """Return the spec with another classifier and its options."""
    classifier = ClassifierSpec.model_validate({"name": name, **options})
    model = spec.model.model_copy(update={"classifier": classifier})
    return spec.model_copy(update={"model": model})


def make_data(size: int = 16, samples: int = 14) -> TrialData:
    random = np.random.default_rng(0)

    def images(count: int) -> Any:
        return in_memory(random.integers(0, 256, (count, 1, size, size), dtype=np.uint8))

    def labels(count: int) -> Any:
        return np.arange(count) % CLASSES

    return TrialData(
        source_train_images=images(samples),
        source_train_labels=labels(samples),
        source_val_images=images(6),
        source_val_labels=labels(6),
        target_train_images=images(samples - 3),
        target_val_images=images(9),
        target_val_labels=labels(9),
        class_names=("a", "b", "c"),
    )


def with_labelled_target(data: TrialData, per_class: int) -> TrialData:
    """Return the data with labels of some target images, as many of each class."""
    labelled = np.arange(per_class * CLASSES)
    return replace(
        data,
        labelled_target_images=data.target_train_images.subset(labelled),
        labelled_target_labels=labelled % CLASSES,
    )


def on_disk(data: TrialData, folder: Path) -> TrialData:
    """Return the same data with its images prepared on disk, in chunks of a few images."""
    parts = ("source_train", "source_val", "target_train", "target_val")
    stored: dict[str, Any] = {}
    for part in parts:
        images = getattr(data, f"{part}_images")
        stored[f"{part}_images"] = _stored(images, folder / part)
    return replace(data, **stored)


def _stored(images: ImageSet, folder: Path) -> StoredImages:
    paths = []
    folder.mkdir(parents=True)
    for index, pixels in enumerate(images.take(np.arange(len(images)))):
        paths.append(str(folder / f"{index:03}.png"))
        Image.fromarray(pixels[0]).save(paths[-1])
    _, size, _ = images.shape
    form = DomainSpec.model_validate({"domain": "imagefolder:x", "size": size, "channels": 1})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "CHUNK_BYTES", 4 * size**2)
        stored = open_store(folder / "cache", ImageFiles(tuple(paths)), form)
    prepare_missing(stored, workers=1)
    return stored


def make_source_weights(spec: TrialSpec) -> StateDict:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return build_classifier(spec.model.classifier, spec.data.source, CLASSES).state_dict()


def make_state(spec: TrialSpec) -> TrainingState:
    return build_state(spec, CLASSES, make_source_weights(spec), CPU)


def make_images(spec: TrialSpec, state: TrainingState) -> TrainingImages:
    data = make_data(spec.data.source.size)
    per_class = spec.data.target.train_labels
    if per_class:
        data = with_labelled_target(data, per_class)
    images = TrainingImages(data, CPU)
    images.predict(state.networks.f_s)
    return images


def make_batch(spec: TrialSpec, state: TrainingState, step: int = 0) -> Batch:
    labelled_size = CLASSES * spec.data.target.train_labels
    sampler = UnpairedSampler(14, 11, spec.training.batch_size, seed=0, labelled_size=labelled_size)
    images = make_images(spec, state)
    indices = images.indices(sampler, step)
    return images.batch(indices, indices, true_semantic=False)


def make_record(epoch: int = 1, target_val_accuracy: float = 0.5) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        train_s=2.0,
        eval_s=0.5,
        source_val_accuracy=0.75,
        target_val_accuracy=target_val_accuracy,
        target_val_loss=1.5,
    )


def save(folder: CheckpointFolder, state: TrainingState, record: EpochRecord) -> None:
    """Save the checkpoint of an epoch of a trial that trains alone."""
    folder.save([Snapshot(folder.identity, state, ResumePoint(record))])


def save_mid_epoch(folder: CheckpointFolder, state: TrainingState, point: ResumePoint) -> None:
    """Save a checkpoint within an epoch of a trial that trains alone."""
    folder.save_mid_epoch([Snapshot(folder.identity, state, point)])


def restore(folder: CheckpointFolder, state: TrainingState) -> ResumePoint:
    """Restore a trial that trains alone."""
    [point] = folder.restore([Unrestored(folder.identity, state)]).resume_points
    return point


def save_epochs(folder: CheckpointFolder, state: TrainingState, *epochs: int) -> None:
    """Save the checkpoint of each of these epochs, ten steps after the one before."""
    for epoch in epochs:
        state.step = epoch * 10
        save(folder, state, make_record(epoch))
