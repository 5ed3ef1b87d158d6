"""What a classifier says of images, and how right it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from adaptune.data.device_images import DeviceImages
from adaptune.data.splits import TrialData
from adaptune.errors import NonFiniteLossError
from adaptune.models.classifiers import Classifier
from adaptune.training.distributed import all_reduce_sum, rank, world_size
from adaptune.training.validators import ValidatorInputs, score_all


@dataclass(frozen=True)
class Outputs:
    """What a classifier makes of N images: float64 logits [N, K] and float32 features [N, D], on its device."""

    logits: Tensor
    features: Tensor

    def score(self, labels: Tensor) -> tuple[float, float]:
        """(accuracy in [0, 1], mean cross-entropy in nats) against labels [N]."""
        accuracy = (self.logits.argmax(dim=1) == labels).double().mean()
        return float(accuracy), float(F.cross_entropy(self.logits, labels))


@torch.no_grad()
def predict_all(classifier: Classifier, images: DeviceImages, batch_size: int = 512) -> Outputs:
    """The classifier on all images, in eval mode; shared out over all workers, and whole on each of them."""
    classifier.eval()
    parts = torch.arange(rank(), len(images), world_size()).split(batch_size)
    features = torch.cat([classifier.features(images.take(part)).float() for part in parts])
    logits = classifier.head(features).double()
    return Outputs(_whole(logits, len(images)), _whole(features, len(images)))


class Validation:
    """source_val and target_val on a device, and what a trial's record says of f_T on them."""

    def __init__(self, data: TrialData, device: torch.device) -> None:
        self._source = DeviceImages(data.source_val_images, data.source_val_labels, device)
        self._target = DeviceImages(data.target_val_images, data.target_val_labels, device)
        self._labelled = data.target_labelled

    def record(self, classifier: Classifier, step: int) -> dict[str, Any]:
        """`source_val_accuracy`; each `validator/<name>`; `target_val_accuracy` and `target_val_loss`, or None.

        Raises:
            NonFiniteLossError: f_T's logits are not finite after update `step`. Every worker raises it, or none.
        """
        source, target = (
            predict_all(classifier, self._source),
            predict_all(classifier, self._target),
        )
        if not (source.logits.isfinite().all() and target.logits.isfinite().all()):
            raise NonFiniteLossError(
                f"f_T's logits are not finite after step {step}: term `task` comes next; lower the learning rates or"
                " narrow the weights' ranges"
            )
        source_labels, target_labels = self._source.labels, self._target.labels
        accuracy, loss = target.score(target_labels) if self._labelled else (None, None)
        dump = ValidatorInputs(
            source_logits=source.logits.cpu().numpy(),
            source_features=source.features.cpu().numpy(),
            source_labels=source_labels.cpu().numpy(),
            target_logits=target.logits.cpu().numpy(),
            target_features=target.features.cpu().numpy(),
        )
        return {
            "target_val_accuracy": accuracy,
            "target_val_loss": loss,
            "source_val_accuracy": source.score(source_labels)[0],
        } | {f"validator/{name}": score for name, score in score_all(dump).items()}


def _whole(own: Tensor, count: int) -> Tensor:
    """All rows, from the share (rank, rank + world, …) that each worker has."""
    whole = own.new_zeros(count, own.shape[1])
    whole[rank() :: world_size()] = own
    return all_reduce_sum(whole)
