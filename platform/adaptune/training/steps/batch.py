"""The images and labels of one update, and the translations of its images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from adaptune.data.device_images import DeviceImages
from adaptune.data.sampling import UnpairedSampler, shard
from adaptune.data.splits import TrialData
from adaptune.training.distributed import rank, world_size
from adaptune.training.inference import infer

PREFETCHED_STEPS = 2


@dataclass(frozen=True)
class Batch:
    """This worker's part of an update: N source and N target images, unpaired.

    Attributes:
        source: x_s, (N, C, H, W) in [-1, 1].
        source_labels: y_s, int64 (N,).
        target: x_t, (N, C, H, W) in [-1, 1].
        semantic_source: labels that G_st(x_s) should keep, int64 (N,): argmax f_S(x_s), or y_s if
            the spec asks for the true labels; None if the images have no labels of f_S.
        semantic_target: labels that G_ts(x_t) should keep, int64 (N,): argmax f_S(x_t); CyCADA's
            step replaces them if the spec asks for those of f_T. None if the images have none.
        labelled_target: labelled target images, (N, C, H, W) in [-1, 1]; None without any.
        labelled_target_labels: their labels, int64 (N,); None without any.
        first: place of the first pair in this worker's part of the update.
    """

    source: Tensor
    source_labels: Tensor
    target: Tensor
    semantic_source: Tensor | None = None
    semantic_target: Tensor | None = None
    labelled_target: Tensor | None = None
    labelled_target_labels: Tensor | None = None
    first: int = 0

    def parts(self, count: int) -> list[Batch]:
        """Split the pairs into parts of N / count, without the labelled target images."""
        size = len(self.source) // count
        parts = []
        for first in range(0, len(self.source), size):
            pairs = slice(first, first + size)
            part = Batch(
                source=self.source[pairs],
                source_labels=self.source_labels[pairs],
                target=self.target[pairs],
                semantic_source=_at(self.semantic_source, pairs),
                semantic_target=_at(self.semantic_target, pairs),
                first=first,
            )
            parts.append(part)
        return parts


class BatchIndices(NamedTuple):
    """The samples of this worker's part of an update.

    Attributes:
        source: indices of source samples, int64 (N,).
        target: indices of target samples, int64 (N,).
        labelled: indices of labelled target samples, int64 (N,); None without any.
    """

    source: Tensor
    target: Tensor
    labelled: Tensor | None


@dataclass(frozen=True)
class Translated:
    """Translations of a batch without gradients, (N, C, H, W) in [-1, 1] each.

    Attributes:
        source: G_st(x_s).
        target: G_ts(x_t).
    """

    source: Tensor
    target: Tensor


class TrainingImages:
    """The training images of both domains on a device, with the labels that f_S predicts.

    Args:
        is_resident: see `DeviceImages`.

    Attributes:
        device: the device.
        is_resident: see `DeviceImages`.
        source: labelled source images.
        target: target images.
        predicted_source: argmax f_S of all source images, int64 (N,); None before `predict`.
        predicted_target: argmax f_S of all target images, int64 (M,); None before `predict`.
        labelled_target: labelled target images; None without any.
    """

    def __init__(
        self,
        data: TrialData,
        device: torch.device,
        *,
        is_resident: bool = True,
    ) -> None:
        self.device = device
        self.is_resident = is_resident
        self.source = DeviceImages(
            data.source_train_images,
            data.source_train_labels,
            device,
            is_resident=is_resident,
        )
        self.target = DeviceImages(data.target_train_images, None, device, is_resident=is_resident)
        self.labelled_target = labelled_target(data, device, is_resident=is_resident)
        self.predicted_source: Tensor | None = None
        self.predicted_target: Tensor | None = None

    @property
    def is_stored(self) -> bool:
        """True if all images are in the memory of the device."""
        parts = [self.source, self.target, self.labelled_target]
        return all(part.is_stored for part in parts if part is not None)

    def predict(self, f_s: nn.Module) -> None:
        """Predict the labels of all images, which the semantic term reads.

        f_S is fixed: the labels are predicted only once.

        Args:
            f_s: f_S on the device.
        """
        if self.predicted_source is None:
            self.predicted_source = predict_labels(f_s, self.source)
            self.predicted_target = predict_labels(f_s, self.target)

    def indices(self, sampler: UnpairedSampler, step: int) -> BatchIndices:
        """Return the samples of this worker's part of update `step`, counted from 0.

        Images on disk begin to be read, and those of the next updates.
        """
        steps = range(step, step + 1 + PREFETCHED_STEPS)
        updates = [self._indices(sampler, coming_step) for coming_step in steps]
        for coming in updates:
            self.source.expect(coming.source)
            self.target.expect(coming.target)
            if self.labelled_target is not None and coming.labelled is not None:
                self.labelled_target.expect(coming.labelled)
        return updates[0]

    def batch(self, indices: BatchIndices, places: BatchIndices, *, true_semantic: bool) -> Batch:
        """Return this worker's part of an update.

        Args:
            indices: its samples, on the CPU.
            places: the same on the device.
            true_semantic: whether G_st should keep the true labels instead of those of f_S.
        """
        labels = self.source.labels[places.source]
        predicted = _at(self.predicted_source, places.source)
        batch = Batch(
            source=self.source.take(indices.source, places.source),
            source_labels=labels,
            target=self.target.take(indices.target, places.target),
            semantic_source=labels if true_semantic else predicted,
            semantic_target=_at(self.predicted_target, places.target),
        )
        if self.labelled_target is None or indices.labelled is None or places.labelled is None:
            return batch
        return replace(
            batch,
            labelled_target=self.labelled_target.take(indices.labelled, places.labelled),
            labelled_target_labels=self.labelled_target.labels[places.labelled],
        )

    def _indices(self, sampler: UnpairedSampler, step: int) -> BatchIndices:
        source, target = sampler.indices(step)
        labelled = None
        if self.labelled_target is not None:
            labelled = _own_part(sampler.labelled_indices(step))
        return BatchIndices(_own_part(source), _own_part(target), labelled)


def labelled_target(
    data: TrialData, device: torch.device, *, is_resident: bool
) -> DeviceImages | None:
    """Return the labelled target images on a device, or None without any.

    Args:
        is_resident: see `DeviceImages`.
    """
    if data.labelled_target_images is None:
        return None
    return DeviceImages(
        data.labelled_target_images, data.labelled_target_labels, device, is_resident=is_resident
    )


def _at(labels: Tensor | None, places: Tensor | slice) -> Tensor | None:
    return None if labels is None else labels[places]


def joined(parts: Sequence[Tensor]) -> Tensor:
    """Return parts of a batch one after the other, without a copy of a single one.

    (N, …) each → (sum of the N, …).
    """
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def _own_part(indices: Tensor) -> Tensor:
    """Return this worker's part of the indices of an update: int64 (B,) → (N,)."""
    return shard(indices, rank(), world_size())


def predict_labels(classifier: nn.Module, images: DeviceImages) -> Tensor:
    """Return the argmax of a classifier for all N images, in eval mode: int64 (N,)."""
    return infer(classifier.eval(), images).argmax(dim=1)
