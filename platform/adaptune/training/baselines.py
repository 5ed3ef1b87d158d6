"""Baselines that adapt f_S to the target without a GAN."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim import Adam

from adaptune.data.device_images import DeviceImages
from adaptune.data.sampling import UnpairedSampler
from adaptune.losses.classification import task_loss
from adaptune.losses.information import information_loss
from adaptune.seeding import derive_seed
from adaptune.spec.schema import TrialSpec
from adaptune.training.augment.images import augment_images
from adaptune.training.averages import moving_average
from adaptune.training.build import build_classifier, to_device
from adaptune.training.schedule import lr_factor, set_lr
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
) -> dict[str, Tensor]:
    """Adapt f_S by the information loss on target images; a baseline for f_T.

    The baseline is trained like f_T in a trial: the same number of updates, learning rate, moving
    average and augmentation.

    Args:
        source: labelled training images of the source.
        target: training images of the target.
        source_weights: weights of f_S.
        classes: number of classes, K.
        task: whether to add the task loss on source images. With it, the baseline is "no GAN";
            without it, "information only".

    Returns:
        The weights of the adapted classifier, on the CPU.
    """
    net = build_classifier(spec.model.classifier, spec.data.source, classes)
    net.load_state_dict(source_weights)
    net = to_device(net.train(), target.device, channels_last=spec.training.channels_last)
    batches = _Batches(spec, source, target, with_source=task)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(spec.seed, "no-gan", "dropout"))
        average = _train(net, spec, batches, task=task)
    return to_cpu(average if spec.training.classifier_ema_decay else net)


def _train(net: nn.Module, spec: TrialSpec, batches: _Batches, *, task: bool) -> nn.Module:
    """Train a classifier, and return its moving average."""
    training = spec.training
    betas = (training.beta1, training.beta2)
    optimizer = Adam(net.parameters(), lr=training.classifier_lr, betas=betas)
    average = moving_average(net, training.classifier_ema_decay)
    total_steps = training.epochs * training.steps_per_epoch
    for step in range(total_steps):
        factor = lr_factor(step / total_steps, training.lr_decay_from)
        set_lr(optimizer, training.classifier_lr * factor)
        images, source_labels = batches.take(step)
        target_logits, source_logits = net(images).tensor_split([training.batch_size])
        loss = information_loss(target_logits)
        if task:
            loss = loss + task_loss(source_logits, source_labels)
        optimizer_step(optimizer, loss)
        average.update_parameters(net)
    return average.module


class _Batches:
    """Augmented batches of target images, with source images if the task loss needs them."""

    def __init__(
        self, spec: TrialSpec, source: DeviceImages, target: DeviceImages, *, with_source: bool
    ) -> None:
        order_seed = derive_seed(spec.seed, "no-gan")
        self._spec = spec
        self._source = source
        self._target = target
        self._with_source = with_source
        self._sampler = UnpairedSampler(
            len(source), len(target), spec.training.batch_size, order_seed
        )

    def take(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the images of update `step` and the labels of its source images.

        Returns:
            (B, C, H, W), or (2 B, C, H, W) with the source images at the end; and int64 (B,).
        """
        source_indices, target_indices = self._sampler.indices(step)
        images = self._target.take(target_indices)
        if self._with_source:
            images = torch.cat([images, self._source.take(source_indices)])
        images = self._augmented(images, step)
        return images, self._source.labels_of(source_indices)

    def _augmented(self, images: Tensor, step: int) -> Tensor:
        """Change images as f_T sees them in a trial: (N, C, H, W) → (N, C, H, W)."""
        training = self._spec.training
        if training.gan_augment.is_active:
            changes = training.gan_augment.as_augment()
            images = augment_images(changes, images, self._rng("gan-augment", step))
        return augment_images(training.augment, images, self._rng(step))

    def _rng(self, *parts: int | str) -> torch.Generator:
        return torch.Generator().manual_seed(derive_seed(self._spec.seed, "no-gan", *parts))
