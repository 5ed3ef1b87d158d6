"""Baselines that adapt f_S to the target without a GAN."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from adaptune.data.device_images import DeviceImages
from adaptune.data.sampling import UnpairedSampler
from adaptune.losses.classification import task_loss
from adaptune.losses.information import information_loss
from adaptune.seeding import derive_seed
from adaptune.spec.schema import TrialSpec
from adaptune.training.augment.images import augment_images
from adaptune.training.averages import moving_average
from adaptune.training.batch_norm import adapted_weights
from adaptune.training.build import build_classifier, to_device
from adaptune.training.class_balance import balanced_labels
from adaptune.training.optimizers import classifier_lr_factor, target_classifier_optimizer
from adaptune.training.schedule import set_lr
from adaptune.training.source_classifier import to_cpu
from adaptune.training.state import StateDict
from adaptune.training.steps.optimization import optimizer_step


def adapt_without_gan(
    spec: TrialSpec,
    source: DeviceImages,
    target: DeviceImages,
    source_weights: StateDict,
    classes: int,
    *,
    task: bool,
    labelled_target: DeviceImages | None = None,
) -> dict[str, Tensor]:
    """Adapt f_S by the information loss on target images; a baseline for f_T.

    The baseline is trained like f_T in a trial: the same number of updates, learning rate, moving
    average and augmentation, and the same labelled target images.

    Args:
        source: labelled training images of the source.
        target: training images of the target.
        source_weights: weights of f_S.
        classes: number of classes, K.
        task: whether to add the task loss on source images. With it, the baseline is "no GAN";
            without it, "information only".
        labelled_target: the labelled target images of the search; None without any.

    Returns:
        The weights of the adapted classifier, on the CPU.
    """
    net = build_classifier(spec.model.classifier, spec.data.source, classes)
    net.load_state_dict(source_weights)
    net = to_device(net.train(), target.device, channels_last=spec.training.channels_last)
    labelled = {"source": source} if task else {}
    if labelled_target is not None:
        labelled["labelled"] = labelled_target
    batches = _Batches(spec, source, target, labelled)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(spec.seed, "no-gan", "dropout"))
        average = _train(net, spec, batches)
    weights = to_cpu(average if spec.training.classifier_ema_decay else net)
    return adapted_weights(spec, weights, target, classes)


def _train(net: nn.Module, spec: TrialSpec, batches: _Batches) -> nn.Module:
    """Train a classifier, and return its moving average."""
    training = spec.training
    optimizer = target_classifier_optimizer(net, spec)
    average = moving_average(net, training.classifier_ema_decay)
    total_steps = training.epochs * training.steps_per_epoch
    for step in range(total_steps):
        factor = classifier_lr_factor(step / total_steps, spec)
        set_lr(optimizer, training.classifier_lr * factor)
        images, labels = batches.take(step)
        target_logits, *labelled_logits = net(images).split(training.batch_size)
        loss = information_loss(target_logits)
        for logits, labels_of_group in zip(labelled_logits, labels, strict=True):
            loss = loss + task_loss(logits, labels_of_group)
        optimizer_step(optimizer, loss)
        average.update_parameters(net)
    return average.module


class _Batches:
    """Augmented batches of target images, with images of labelled groups.

    Args:
        source: labelled training images of the source.
        labelled: the groups: `source`, and `labelled` target images.
    """

    def __init__(
        self,
        spec: TrialSpec,
        source: DeviceImages,
        target: DeviceImages,
        labelled: Mapping[str, DeviceImages],
    ) -> None:
        order_seed = derive_seed(spec.seed, "no-gan")
        self._spec = spec
        self._target = target
        self._labelled = labelled
        self._sampler = UnpairedSampler(
            len(source),
            len(target),
            spec.training.batch_size,
            order_seed,
            balanced_labels(spec, source),
            labelled_size=len(labelled.get("labelled", ())),
        )

    def take(self, step: int) -> tuple[Tensor, list[Tensor]]:
        """Return the images of update `step`, and the labels of each labelled group.

        Returns:
            (B, C, H, W) of the target, followed by as many images of each group; and int64 (B,)
            per group.
        """
        self._expect(step + 1)
        images = [self._target.take(self._sampler.indices(step)[1])]
        labels = []
        for name, group in self._labelled.items():
            indices = self._labelled_indices(name, step)
            images.append(group.take(indices))
            labels.append(group.labels_of(indices))
        batch = self._augmented(torch.cat(images), step)
        return batch, labels

    def _expect(self, step: int) -> None:
        """Begin to read the images of update `step`."""
        self._target.expect(self._sampler.indices(step)[1])
        for name, group in self._labelled.items():
            group.expect(self._labelled_indices(name, step))

    def _labelled_indices(self, group: str, step: int) -> Tensor:
        """Return the images of a labelled group in update `step`: int64 (B,)."""
        if group == "labelled":
            return self._sampler.labelled_indices(step)
        return self._sampler.indices(step)[0]

    def _augmented(self, images: Tensor, step: int) -> Tensor:
        """Change images as f_T sees them in a trial: (N, C, H, W) → (N, C, H, W)."""
        training = self._spec.training
        if training.gan_augment.is_active:
            changes = training.gan_augment.as_augment()
            images = augment_images(changes, images, self._rng("gan-augment", step))
        return augment_images(training.augment, images, self._rng(step))

    def _rng(self, *parts: int | str) -> torch.Generator:
        return torch.Generator().manual_seed(derive_seed(self._spec.seed, "no-gan", *parts))
