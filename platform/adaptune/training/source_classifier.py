"""Training of classifiers on labelled images; f_S is step 1 of CyCADA (Hoffman et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from adaptune.data.device_images import DeviceImages
from adaptune.data.sampling import UnpairedSampler
from adaptune.data.splits import TrialData
from adaptune.losses.classification import task_loss
from adaptune.seeding import derive_seed
from adaptune.spec.schema import TrialSpec
from adaptune.training.augment.fourier import fourier_adapted
from adaptune.training.augment.images import augment_images
from adaptune.training.build import build_classifier, to_device
from adaptune.training.class_balance import balanced_labels
from adaptune.training.optimizers import classifier_lr_factor, source_classifier_optimizer
from adaptune.training.schedule import set_lr
from adaptune.training.steps.optimization import optimizer_step


def train_source_classifier(
    spec: TrialSpec,
    data: TrialData,
    device: torch.device,
    *,
    is_resident: bool = True,
    in_target_colours: bool = True,
) -> dict[str, Tensor]:
    """Train f_S (eq. 1), and return its weights on the CPU.

    Args:
        is_resident: see `DeviceImages`.
        in_target_colours: whether it learns in the colours of the target if the spec asks for it.
            Otherwise no target image is read.
    """
    images = DeviceImages(
        data.source_train_images, data.source_train_labels, device, is_resident=is_resident
    )
    colours = None
    if in_target_colours and spec.training.source.fourier_beta:
        colours = DeviceImages(data.target_train_images, None, device, is_resident=is_resident)
    return train_supervised(spec, images, len(data.class_names), colours=colours)


def train_supervised(
    spec: TrialSpec,
    images: DeviceImages,
    classes: int,
    purpose: str = "source",
    *,
    colours: DeviceImages | None = None,
    load_pretrained: bool = True,
    bf16: bool = False,
    on_update: Callable[[int, nn.Module], object] | None = None,
) -> dict[str, Tensor]:
    """Train a classifier on labelled images.

    Args:
        images: labelled training images.
        classes: number of classes, K.
        purpose: name of the random streams.
        colours: images whose low frequencies the training images get, as `training.source` sets
            it; None leaves them as they are.
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
        for step, (batch, labels) in enumerate(_batches(spec, images, colours, purpose)):
            set_lr(optimizer, stage.lr * classifier_lr_factor(step / stage.steps, spec))
            with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
                loss = task_loss(net(batch), labels, label_smoothing=stage.label_smoothing)
            optimizer_step(optimizer, loss)
            if on_update is not None:
                on_update(step + 1, net)
    return to_cpu(net)


def _batches(
    spec: TrialSpec, images: DeviceImages, colours: DeviceImages | None, purpose: str
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the images of each update, changed as the spec asks for it, and their labels."""
    stage = spec.training.source
    seed = derive_seed(spec.seed, purpose, "order")
    balanced = balanced_labels(spec, images)
    others = images if colours is None else colours
    sampler = UnpairedSampler(len(images), len(others), stage.batch_size, seed, balanced)
    for step in range(stage.steps):
        indices, of_others = sampler.indices(step)
        images.expect(sampler.indices(step + 1)[0])
        batch = images.take(indices)
        if colours is not None:
            batch = fourier_adapted(batch, colours.take(of_others), stage.fourier_beta)
        rng = torch.Generator().manual_seed(derive_seed(spec.seed, purpose, "augment", step))
        yield augment_images(spec.training.augment, batch, rng), images.labels_of(indices)


def to_cpu(net: nn.Module) -> dict[str, Tensor]:
    """Return a copy of a network's state dict, contiguous and on the CPU."""
    weights = {}
    for name, value in net.state_dict().items():
        weights[name] = value.detach().cpu().contiguous().clone()
    return weights
