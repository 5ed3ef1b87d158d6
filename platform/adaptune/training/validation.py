"""Predictions of a classifier on a data set, and its scores on source_val and target_val."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from adaptune.data.device_images import DeviceImages
from adaptune.data.splits import TrialData
from adaptune.errors import NonFiniteLossError
from adaptune.models.classifiers import Classifier
from adaptune.training.distributed import (
    all_reduce_sum,
    broadcast_from_rank_0,
    rank,
    world_size,
)
from adaptune.training.inference import infer
from adaptune.training.metrics import ClassScores, Predictions
from adaptune.training.validators import ValidatorInputs, score_all


@dataclass(frozen=True)
class Outputs:
    """Outputs of a classifier for N images, on its device.

    Attributes:
        logits: float64 (N, K).
        features: float32 (N, D).
    """

    logits: Tensor
    features: Tensor

    def accuracy(self, labels: Tensor) -> float:
        """Return the accuracy in [0, 1] against labels (N,)."""
        return float((self.logits.argmax(dim=1) == labels).double().mean())

    def cross_entropy(self, labels: Tensor) -> float:
        """Return the mean cross-entropy in nats against labels (N,)."""
        return float(F.cross_entropy(self.logits, labels))

    def predictions(self, labels: Tensor, class_names: Sequence[str]) -> Predictions:
        """Return the predictions with labels (N,), indices into `class_names`."""
        return Predictions(self.logits.cpu().numpy(), labels.cpu().numpy(), class_names)


@torch.no_grad()
def predict_all(classifier: Classifier, images: DeviceImages, *, bf16: bool = False) -> Outputs:
    """Return the outputs of a classifier for all images, in eval mode.

    Each worker of a trial computes a part, and all workers get all outputs.

    Args:
        bf16: whether the features are computed in bf16.
    """
    classifier.train().eval()  # networks of timm keep values of an evaluation until they train
    own_part = torch.arange(rank(), len(images), world_size())
    features = infer(classifier.features, images, own_part, bf16=bf16)
    logits = classifier.head(features).double()
    return Outputs(_all_rows(logits, len(images)), _all_rows(features, len(images)))


@dataclass(frozen=True)
class ValidationScores:
    """Scores of f_T after an epoch.

    Attributes:
        source_val_accuracy: accuracy on source_val, in [0, 1].
        target_val_accuracy: accuracy on target_val, in [0, 1]; None without target labels.
        target_val_loss: mean cross-entropy on target_val in nats; None without target labels.
        source_val: further metrics on source_val.
        target_val: further metrics on target_val; None without target labels.
        validators: score of each validator, by name; none if they are not computed.
    """

    source_val_accuracy: float
    target_val_accuracy: float | None
    target_val_loss: float | None
    source_val: ClassScores
    target_val: ClassScores | None
    validators: dict[str, float]


class Validation:
    """Scores f_T on source_val and target_val.

    Args:
        data: data of the trial.
        device: device of f_T.
        bf16: see `predict_all`.
        is_resident: see `DeviceImages`.
        has_validators: whether the validators are computed.
    """

    def __init__(
        self,
        data: TrialData,
        device: torch.device,
        *,
        bf16: bool = False,
        is_resident: bool = True,
        has_validators: bool = True,
    ) -> None:
        self._bf16 = bf16
        self._has_validators = has_validators
        self._source = DeviceImages(
            data.source_val_images, data.source_val_labels, device, is_resident=is_resident
        )
        self._target = DeviceImages(
            data.target_val_images, data.target_val_labels, device, is_resident=is_resident
        )
        self._target_labelled = data.target_labelled
        self._class_names = data.class_names

    def scores(self, classifier: Classifier, step: int) -> ValidationScores:
        """Return the scores of f_T after update `step`.

        Raises:
            NonFiniteLossError: a logit of f_T is not finite; raised by all workers or by none.
        """
        source = predict_all(classifier, self._source, bf16=self._bf16)
        target = predict_all(classifier, self._target, bf16=self._bf16)
        if not (source.logits.isfinite().all() and target.logits.isfinite().all()):
            raise NonFiniteLossError(
                f"f_T's logits are not finite after step {step}, so the next value of term `task`"
                " would not be finite either;"
                " lower the learning rates or narrow the weights' ranges"
            )
        target_accuracy = target_loss = target_scores = None
        if self._target_labelled:
            target_accuracy = target.accuracy(self._target.labels)
            target_loss = target.cross_entropy(self._target.labels)
            target_scores = self._class_scores(target, self._target.labels)
        return ValidationScores(
            source_val_accuracy=source.accuracy(self._source.labels),
            target_val_accuracy=target_accuracy,
            target_val_loss=target_loss,
            source_val=self._class_scores(source, self._source.labels),
            target_val=target_scores,
            validators=self._validators(source, target) if self._has_validators else {},
        )

    def _class_scores(self, outputs: Outputs, labels: Tensor) -> ClassScores:
        return outputs.predictions(labels, self._class_names).class_scores()

    def _validators(self, source: Outputs, target: Outputs) -> dict[str, float]:
        """Return the score of each validator by name, which rank 0 computes."""
        scores: dict[str, float] = {}
        if rank() == 0:
            scores = score_all(_validator_inputs(source, self._source.labels, target))
        return broadcast_from_rank_0(scores)


def _validator_inputs(source: Outputs, labels: Tensor, target: Outputs) -> ValidatorInputs:
    """Return the outputs for source_val with their labels, (S,), and those for target_val."""
    return ValidatorInputs(
        source_logits=source.logits.cpu().numpy(),
        source_features=source.features.cpu().numpy(),
        source_labels=labels.cpu().numpy(),
        target_logits=target.logits.cpu().numpy(),
        target_features=target.features.cpu().numpy(),
    )


def _all_rows(part: Tensor, count: int) -> Tensor:
    """Gather the rows (rank, rank + W, …) of all W workers: (count / W, D) → (count, D)."""
    rows = part.new_zeros(count, part.shape[1])
    rows[rank() :: world_size()] = part
    return all_reduce_sum(rows)
