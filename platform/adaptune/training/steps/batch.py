"""The images and labels of one update, and the translations of its images."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from adaptune.data.device_images import DeviceImages
from adaptune.data.sampling import UnpairedSampler, shard
from adaptune.data.splits import TrialData
from adaptune.data.transfer import to_device
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

    def predict(self, f_s: nn.Module) -> None:
        """Predict the labels of all images, which the semantic term reads.

        f_S is fixed: the labels are predicted only once.

        Args:
            f_s: f_S on the device.
        """
        if self.predicted_source is None:
            self.predicted_source = predict_labels(f_s, self.source)
            self.predicted_target = predict_labels(f_s, self.target)

    def batch(self, sampler: UnpairedSampler, step: int, *, true_semantic: bool) -> Batch:
        """Return this worker's part of update `step`, counted from 0.

        Args:
            true_semantic: whether G_st should keep the true labels instead of those of f_S.
        """
        for next_step in range(step, step + 1 + PREFETCHED_STEPS):
            source_indices, target_indices = _own_part(sampler, next_step)
            self.source.expect(source_indices)
            self.target.expect(target_indices)
            if self.labelled_target is not None:
                self.labelled_target.expect(_own_labelled_part(sampler, next_step))
        source_indices, target_indices = _own_part(sampler, step)
        # One copy takes all indices to the device.
        both = to_device(torch.cat([source_indices, target_indices]), self.source.device)
        source_places, target_places = both.split([len(source_indices), len(target_indices)])
        labels = self.source.labels_of(source_places)
        predicted = _at(self.predicted_source, source_places)
        batch = Batch(
            source=self.source.take(source_indices, source_places),
            source_labels=labels,
            target=self.target.take(target_indices, target_places),
            semantic_source=labels if true_semantic else predicted,
            semantic_target=_at(self.predicted_target, target_places),
        )
        if self.labelled_target is None:
            return batch
        labelled_indices = _own_labelled_part(sampler, step)
        return replace(
            batch,
            labelled_target=self.labelled_target.take(labelled_indices),
            labelled_target_labels=self.labelled_target.labels_of(labelled_indices),
        )


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


def _own_part(sampler: UnpairedSampler, step: int) -> tuple[Tensor, Tensor]:
    """Return the source and the target indices of this worker, int64 (N,)."""
    source, target = sampler.indices(step)
    return shard(source, rank(), world_size()), shard(target, rank(), world_size())


def _own_labelled_part(sampler: UnpairedSampler, step: int) -> Tensor:
    """Return the indices of this worker's labelled target images, int64 (N,)."""
    return shard(sampler.labelled_indices(step), rank(), world_size())


def predict_labels(classifier: nn.Module, images: DeviceImages) -> Tensor:
    """Return the argmax of a classifier for all N images, in eval mode: int64 (N,)."""
    return infer(classifier.eval(), images).argmax(dim=1)
