"""Training of a classifier on labelled images: f_S, step 1 of CyCADA (Hoffman et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from adaptune.data.device_images import DeviceImages
from adaptune.data.sampling import UnpairedSampler
from adaptune.losses.classification import task_loss
from adaptune.seeding import derive_seed
from adaptune.spec.schema import TrialSpec
from adaptune.training.augment.images import augment_images
from adaptune.training.build import build_classifier, to_device
from adaptune.training.class_balance import balanced_labels
from adaptune.training.optimizers import classifier_lr_factor, source_classifier_optimizer
from adaptune.training.schedule import set_lr
from adaptune.training.steps.optimization import optimizer_step


def train_supervised(
    spec: TrialSpec,
    images: DeviceImages,
    classes: int,
    purpose: str = "source",
    *,
    load_pretrained: bool = True,
    bf16: bool = False,
    on_update: Callable[[int, nn.Module], object] | None = None,
) -> dict[str, Tensor]:
    """Train a classifier on labelled images (eq. 1); f_S if they are those of the source.

    Args:
        images: labelled training images.
        classes: number of classes, K.
        purpose: name of the random streams.
        load_pretrained: whether training starts from the pretrained weights, if the spec has any.
        bf16: whether the forward passes compute in bf16.
        on_update: called after each update with the number of updates and the classifier. It
            leaves torch's random numbers, and the classifier in training mode, as they are.

    Returns:
        The weights of the classifier, on the CPU.
    """
    stage = spec.training.source
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(spec.seed, purpose))
        net = build_classifier(
            spec.model.classifier, spec.data.source, classes, load_pretrained=load_pretrained
        )
        net = to_device(net.train(), images.device, spec.training)
        optimizer = source_classifier_optimizer(net, spec)
        order_seed = derive_seed(spec.seed, purpose, "order")
        labels = balanced_labels(spec, images)
        sampler = UnpairedSampler(len(images), len(images), stage.batch_size, order_seed, labels)
        for step in range(stage.steps):
            set_lr(optimizer, stage.lr * classifier_lr_factor(step / stage.steps, spec))
            indices, _ = sampler.indices(step)
            images.expect(sampler.indices(step + 1)[0])
            seed = derive_seed(spec.seed, purpose, "augment", step)
            rng = torch.Generator().manual_seed(seed)
            batch = augment_images(spec.training.augment, images.take(indices), rng)
            labels = images.labels_of(indices)
            with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
                loss = task_loss(net(batch), labels, label_smoothing=stage.label_smoothing)
            optimizer_step(optimizer, loss)
            if on_update is not None:
                on_update(step + 1, net)
    return to_cpu(net)


def to_cpu(net: nn.Module) -> dict[str, Tensor]:
    """Return a copy of a network's state dict, contiguous and on the CPU."""
    weights = {}
    for name, value in net.state_dict().items():
        weights[name] = value.detach().cpu().contiguous().clone()
    return weights
