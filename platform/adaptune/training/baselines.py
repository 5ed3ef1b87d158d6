"""Baselines that adapt f_S to the target without a GAN."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adaptune.data.device_images import DeviceImages
from adaptune.data.sampling import UnpairedSampler
from adaptune.losses.classification import task_loss
from adaptune.losses.information import information_loss
from adaptune.seeding import derive_seed
from adaptune.spec.schema import TrialSpec
from adaptune.training.averages import moving_average
from adaptune.training.batch_norm import adapted_weights
from adaptune.training.build import build_classifier, to_device
from adaptune.training.class_balance import balanced_labels
from adaptune.training.optimizers import classifier_lr_factor, target_classifier_optimizer
from adaptune.training.schedule import set_lr
from adaptune.training.source_classifier import to_cpu
from adaptune.training.state import StateDict
from adaptune.training.steps.augment import apply_affine, sample_affine
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
    weights = to_cpu(average if spec.training.classifier_ema_decay else net)
    return adapted_weights(spec, weights, target, classes)


def _train(net: nn.Module, spec: TrialSpec, batches: _Batches, *, task: bool) -> nn.Module:
    """Train a classifier, and return its moving average."""
    training = spec.training
    optimizer = target_classifier_optimizer(net, spec)
    average = moving_average(net, training.classifier_ema_decay)
    total_steps = training.epochs * training.steps_per_epoch
    for step in range(total_steps):
        factor = classifier_lr_factor(step / total_steps, spec)
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
            len(source),
            len(target),
            spec.training.batch_size,
            order_seed,
            balanced_labels(spec, source),
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
        rng = torch.Generator().manual_seed(derive_seed(self._spec.seed, "no-gan", step))
        maps = sample_affine(self._spec.training.augment, len(images), rng)
        return apply_affine(images, maps), self._source.labels_of(source_indices)
