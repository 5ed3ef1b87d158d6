"""What one update learns from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from adaptune.data.device_images import DeviceImages
from adaptune.data.sampling import UnpairedSampler, shard
from adaptune.data.splits import TrialData
from adaptune.training.distributed import rank, world_size


@dataclass(frozen=True)
class Batch:
    """This worker's share of an update: N source and N target images, unpaired.

    Images are (N, C, H, W) in [-1, 1]. `semantic_*` are the labels that a translation should keep:
    argmax f_S of the image, or the true label where the spec asks for it on the source.
    """

    source: Tensor
    source_labels: Tensor
    target: Tensor
    semantic_source: Tensor
    semantic_target: Tensor


class TrainingImages:
    """The training images of both domains on the device. f_S is fixed, so its labels are found once."""

    def __init__(self, data: TrialData, f_source: nn.Module, device: torch.device) -> None:
        self.source = DeviceImages(data.source_train_images, data.source_train_labels, device)
        self.target = DeviceImages(data.target_train_images, None, device)
        self.predicted_source = predict_labels(f_source, self.source)
        self.predicted_target = predict_labels(f_source, self.target)

    def batch(self, sampler: UnpairedSampler, step: int, *, true_semantic: bool) -> Batch:
        source, target = (shard(drawn, rank(), world_size()) for drawn in sampler.indices(step))
        labels = self.source.labels_of(source)
        return Batch(
            source=self.source.take(source),
            source_labels=labels,
            target=self.target.take(target),
            semantic_source=labels if true_semantic else self.predicted_source[source],
            semantic_target=self.predicted_target[target],
        )


@torch.no_grad()
def predict_labels(classifier: nn.Module, images: DeviceImages, batch_size: int = 256) -> Tensor:
    """argmax of the classifier for all N images, (N,) on the device."""
    classifier.eval()
    parts = torch.arange(len(images)).split(batch_size)
    return torch.cat([classifier(images.take(part)).argmax(dim=1) for part in parts])
