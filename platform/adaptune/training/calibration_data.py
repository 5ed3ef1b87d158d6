"""Data and trials of the calibration: as many samples as in the search, of noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np

from adaptune.data.array_types import Indices, Labels
from adaptune.data.image_set import MemoryImages
from adaptune.data.splits import TrialData
from adaptune.spec.data import DomainSpec
from adaptune.spec.schema import TrialSpec
from adaptune.training.validators import Array, ValidatorInputs

SAMPLE = 512  # images per part, at most: the largest batch of an evaluation
_MAX_UPDATES = 10_000
_CONFIDENCE = 5.0  # of the logits, in standard deviations


@dataclass(frozen=True)
class DataSizes:
    """Numbers of classes, and of images in the parts of the data that trials see."""

    classes: int
    source_train: int
    source_val: int
    target_train: int
    target_val: int

    @classmethod
    def of(cls, data: TrialData) -> DataSizes:
        """Return the sizes of the data of a search."""
        return cls(
            classes=len(data.class_names),
            source_train=len(data.source_train_images),
            source_val=len(data.source_val_images),
            target_train=len(data.target_train_images),
            target_val=len(data.target_val_images),
        )

    @classmethod
    def of_splits(cls, indices: Mapping[str, Indices], classes: int) -> DataSizes:
        """Return the sizes of data whose images are still to be prepared.

        Args:
            indices: see `Splits`.
        """
        return cls(
            classes=classes,
            source_train=len(indices["source_train"]),
            source_val=len(indices["source_val"]),
            target_train=len(indices["target_train"]),
            target_val=len(indices["target_val"]),
        )

    @property
    def train(self) -> int:
        """Number of training images of both domains."""
        return self.source_train + self.target_train

    @property
    def val(self) -> int:
        """Number of images for validation of both domains."""
        return self.source_val + self.target_val


def noise_data(form: DomainSpec, sizes: DataSizes, labelled_target: int = 0) -> TrialData:
    """Return data of one image of noise, which is repeated up to `SAMPLE` times in each part.

    Args:
        form: size and channels of the images.
        labelled_target: number of labelled target images.
    """
    random = np.random.default_rng(0)
    shape = (1, form.channels, form.size, form.size)
    image = random.integers(0, 256, shape, dtype=np.uint8)

    def images(count: int) -> MemoryImages:
        rows = min(count, SAMPLE)
        repeated = np.broadcast_to(image, (rows, *shape[1:]))  # takes the memory of one image
        return MemoryImages(repeated, np.zeros((rows, 32), dtype=np.uint8))

    return TrialData(
        source_train_images=images(sizes.source_train),
        source_train_labels=_labels(min(sizes.source_train, SAMPLE), sizes.classes),
        source_val_images=images(sizes.source_val),
        source_val_labels=_labels(min(sizes.source_val, SAMPLE), sizes.classes),
        target_train_images=images(sizes.target_train),
        target_val_images=images(sizes.target_val),
        target_val_labels=_labels(min(sizes.target_val, SAMPLE), sizes.classes),
        class_names=tuple(str(label) for label in range(sizes.classes)),
        labelled_target_images=images(labelled_target) if labelled_target else None,
        labelled_target_labels=_labels(min(labelled_target, SAMPLE), sizes.classes)
        if labelled_target
        else None,
    )


def noise_outputs(sizes: DataSizes, features: int, limit: int) -> ValidatorInputs:
    """Return outputs of a classifier with clusters, as a trained one has them.

    Args:
        features: number of features, D.
        limit: upper bound of the samples of the larger set; the other one keeps its proportion.
    """
    random = np.random.default_rng(0)
    centres = random.normal(size=(sizes.classes, features)).astype(np.float32)
    part = min(1.0, limit / max(sizes.source_val, sizes.target_val))
    source_labels = _labels(max(round(part * sizes.source_val), 1), sizes.classes)
    target_labels = _labels(max(round(part * sizes.target_val), 1), sizes.classes)

    def features_of(labels: Labels) -> Array:
        noise = random.normal(size=(len(labels), features)).astype(np.float32)
        return cast(Array, centres[labels] + noise)

    def logits_of(labels: Labels) -> Array:
        noise = random.normal(size=(len(labels), sizes.classes))
        return _CONFIDENCE * np.eye(sizes.classes)[labels] + noise

    return ValidatorInputs(
        source_logits=logits_of(source_labels),
        source_features=features_of(source_labels),
        source_labels=source_labels,
        target_logits=logits_of(target_labels),
        target_features=features_of(target_labels),
    )


def _labels(count: int, classes: int) -> Labels:
    return np.arange(count) % classes


def one_update_per_epoch(spec: TrialSpec, workers: int) -> TrialSpec:
    """Return a trial of one worker that trains a share of each batch, with all its terms."""
    training = spec.training.model_copy(
        update={
            "batch_size": max(spec.training.batch_size // workers, 1),
            "steps_per_epoch": 1,
            "epochs": _MAX_UPDATES,
            "semantic_gate": None,
            "classifier_from": 0.0,
            "compile": False,  # takes longer than everything else here
        }
    )
    return spec.model_copy(update={"training": training})
