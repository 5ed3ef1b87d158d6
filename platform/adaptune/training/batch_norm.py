"""Batch norm statistics of the target: AdaBN (Li et al. 2018, "Adaptive batch normalization")."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from adaptune.data.device_images import DeviceImages
from adaptune.errors import SpecError
from adaptune.seeding import derive_seed
from adaptune.spec.schema import TrialSpec
from adaptune.training.build import build_classifier, to_device
from adaptune.training.source_classifier import to_cpu

MAX_IMAGES = 4096  # more would hardly change a mean or a variance
_MIN_CHUNK = 8
Net = TypeVar("Net", bound=nn.Module)


def check_batch_norm(spec: TrialSpec) -> None:
    """Check that the classifier has batch norm layers if the spec wants to adapt them.

    Raises:
        SpecError: it has none.
    """
    if not spec.training.adapt_batch_norm:
        return
    with torch.device("meta"):
        classifier = build_classifier(spec.model.classifier, spec.data.target, classes=2)
    if not _batch_norms(classifier):
        raise SpecError(
            f"training.adapt_batch_norm: classifier {spec.model.classifier.name} has no batch norm:"
            " take another classifier, or leave the option out"
        )


def adapted_copy(classifier: Net, images: DeviceImages, spec: TrialSpec) -> Net:
    """Return a copy, in eval mode, whose batch norm statistics are those of target images.

    Each batch norm layer takes the mean of the statistics of chunks of the size of a batch, while
    all other layers are in eval mode. The chunks are a seeded permutation, since the images may
    be stored class by class. Each worker computes all of them, so that all have the same result.

    Args:
        classifier: a classifier on the device of the images.
        images: images of target_train, of which at most `MAX_IMAGES` are used.
    """
    adapted = copy.deepcopy(classifier).eval()
    norms = _batch_norms(adapted)
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the chunks
        norm.train()
    if norms:
        with torch.no_grad():
            for chunk in _chunks(len(images), spec):
                adapted(images.take(chunk))
    return adapted.eval()


def running_statistics(classifier: nn.Module) -> dict[str, Tensor]:
    """Return the buffers of the batch norm layers by their names in the state dict."""
    statistics = {}
    for prefix, module in classifier.named_modules():
        if isinstance(module, _BatchNorm):
            for name, buffer in module.named_buffers(recurse=False):
                statistics[f"{prefix}.{name}"] = buffer
    return statistics


def adapted_weights(
    spec: TrialSpec, weights: Mapping[str, Tensor], images: DeviceImages, classes: int
) -> dict[str, Tensor]:
    """Return the weights of a classifier with the statistics of target images, on the CPU.

    They are the same weights unless the spec asks for `training.adapt_batch_norm`.

    Args:
        images: images of target_train.
        classes: number of classes, K.
    """
    if not spec.training.adapt_batch_norm:
        return dict(weights)
    classifier = build_classifier(spec.model.classifier, spec.data.target, classes)
    classifier.load_state_dict(weights)
    to_device(classifier, images.device, spec.training)
    return to_cpu(adapted_copy(classifier, images, spec))


def _batch_norms(network: nn.Module) -> list[_BatchNorm]:
    return [module for module in network.modules() if isinstance(module, _BatchNorm)]


def _chunks(size: int, spec: TrialSpec) -> tuple[Tensor, ...]:
    """Return the indices of the images in chunks whose sizes differ by one at most."""
    generator = torch.Generator().manual_seed(derive_seed(spec.seed, "batch norm"))
    order = torch.randperm(size, generator=generator)[:MAX_IMAGES]
    chunk_size = max(spec.training.batch_size, _MIN_CHUNK)
    return order.tensor_split(-(-len(order) // chunk_size))
