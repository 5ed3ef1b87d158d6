"""Baselines that adapt f_S without a GAN."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim import Adam
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from adaptune.data.device_images import DeviceImages
from adaptune.data.sampling import UnpairedSampler
from adaptune.losses.classification import task_loss
from adaptune.losses.information import information_loss
from adaptune.seeding import derive_seed
from adaptune.spec.schema import TrialSpec
from adaptune.training.build import build_classifier, to_device
from adaptune.training.schedule import lr_factor, set_lr, warmed_up
from adaptune.training.source_classifier import to_cpu
from adaptune.training.state import StateDict
from adaptune.training.steps.augment import apply, draw
from adaptune.training.steps.generators import optimizer_step

Tensors = tuple[Tensor, ...] | list[Tensor]


def adapt_without_gan(
    spec: TrialSpec,
    source: DeviceImages,
    target: DeviceImages,
    f_source: StateDict,
    classes: int,
    *,
    task: bool,
) -> dict[str, Tensor]:
    """The rivals of a GAN: f_S adapted by information on target images, with `task` by task on source images, too.

    They get what a trial's f_T gets: as many updates, its learning rate, its moving average, its augmentation.

    Returns:
        Its weights, on the CPU.
    """
    training = spec.training
    net = build_classifier(spec.model.classifier, spec.data.source, classes)
    net.load_state_dict(f_source)
    net = to_device(net.train(), target.device, channels_last=training.channels_last)
    optimizer = Adam(
        net.parameters(), lr=training.classifier_lr, betas=(training.beta1, training.beta2)
    )
    average = AveragedModel(
        net, multi_avg_fn=_moving_average(training.classifier_ema_decay), use_buffers=True
    )
    sampler = UnpairedSampler(
        len(source), len(target), training.batch_size, derive_seed(spec.seed, "no-gan")
    )
    total = training.epochs * training.steps_per_epoch
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(spec.seed, "no-gan", "dropout"))
        for step in range(total):
            set_lr(
                optimizer, training.classifier_lr * lr_factor(step / total, training.lr_decay_from)
            )
            of_source, of_target = sampler.indices(step)
            images = target.take(of_target)
            if task:
                images = torch.cat([images, source.take(of_source)])
            random = torch.Generator().manual_seed(derive_seed(spec.seed, "no-gan", step))
            logits = net(apply(images, draw(training.augment, len(images), random)))
            loss = information_loss(logits[: len(of_target)])
            if task:
                loss = loss + task_loss(logits[len(of_target) :], source.labels_of(of_source))
            optimizer_step(optimizer, loss)
            average.update_parameters(net)
    return to_cpu(average.module if training.classifier_ema_decay else net)


def _moving_average(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    def update(averaged: Tensors, live: Tensors, count: Tensor | int) -> None:
        get_ema_multi_avg_fn(warmed_up(decay, int(count)))(averaged, live, count)

    return update
