"""The source classifier f_S: step 1 of CyCADA."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim import Adam

from adaptune.data.device_images import DeviceImages
from adaptune.data.sampling import UnpairedSampler
from adaptune.losses.classification import task_loss
from adaptune.seeding import derive_seed
from adaptune.spec.schema import TrialSpec
from adaptune.spec.training import SourceClassifierSpec
from adaptune.training.build import build_classifier, to_device
from adaptune.training.schedule import lr_factor, set_lr
from adaptune.training.steps.augment import apply, draw
from adaptune.training.steps.generators import optimizer_step


def train_supervised(
    spec: TrialSpec, images: DeviceImages, classes: int, purpose: str = "source"
) -> dict[str, Tensor]:
    """A classifier trained on labelled images; f_S where they are the source's.

    Returns:
        Its weights, on the CPU.
    """
    stage: SourceClassifierSpec = spec.training.source
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(spec.seed, purpose))
        net = build_classifier(spec.model.classifier, spec.data.source, classes).train()
        net = to_device(net, images.device, channels_last=spec.training.channels_last)
        optimizer = Adam(net.parameters(), lr=stage.lr)
        sampler = UnpairedSampler(
            len(images), len(images), stage.batch_size, derive_seed(spec.seed, purpose, "order")
        )
        for step in range(stage.steps):
            set_lr(optimizer, stage.lr * lr_factor(step / stage.steps, spec.training.lr_decay_from))
            indices, _ = sampler.indices(step)
            random = torch.Generator().manual_seed(derive_seed(spec.seed, purpose, "augment", step))
            maps = draw(spec.training.augment, len(indices), random)
            loss = task_loss(net(apply(images.take(indices), maps)), images.labels_of(indices))
            optimizer_step(optimizer, loss)
    return to_cpu(net)


def to_cpu(net: nn.Module) -> dict[str, Tensor]:
    return {
        name: value.detach().cpu().contiguous().clone() for name, value in net.state_dict().items()
    }
