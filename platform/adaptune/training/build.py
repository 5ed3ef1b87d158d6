"""Builders of networks: the only place that unpacks the `model` section of the spec."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from adaptune.errors import SpecError
from adaptune.models.backbones import Backbone, timm_backbone, torchvision_backbone
from adaptune.models.classifiers import DTN, Classifier, LeNet, ResNet18
from adaptune.models.discriminators import (
    CycleGANDiscriminator,
    FeatureDiscriminator,
    PatchDiscriminator,
)
from adaptune.models.generators import ResnetGenerator, UnshuffleGenerator
from adaptune.models.norm import InstanceNorm
from adaptune.spec.data import DomainSpec
from adaptune.spec.model import ClassifierSpec, ModelSpec
from adaptune.spec.schema import TrialSpec
from adaptune.spec.training import TrainingSpec
from adaptune.training.pretrained import read_pretrained

Net = TypeVar("Net", bound=nn.Module)


def build_generator(model: ModelSpec, channels: int, init_gain: float) -> nn.Module:
    """Return a new G_st or G_ts: (N, C, H, W) → (N, C, H, W), both in [-1, 1].

    Args:
        channels: C of the images.
        init_gain: standard deviation of the initial weights.
    """
    spec = model.generator
    if spec.name == "resnet":
        return ResnetGenerator(
            channels,
            width=spec.width,
            blocks=spec.blocks,
            transposed=spec.upsample == "transposed_conv",
            init_gain=init_gain,
        )
    return UnshuffleGenerator(
        channels, width=spec.width, blocks=spec.blocks, factor=spec.factor, init_gain=init_gain
    )


def build_discriminator(model: ModelSpec, channels: int, init_gain: float) -> nn.Module:
    """Return a new D_s or D_t: (N, C, H, W) in [-1, 1] → (N, 1, H', W') logits.

    Args:
        channels: C of the images.
        init_gain: standard deviation of the initial weights.
    """
    spec = model.discriminator
    network = CycleGANDiscriminator if spec.name == "cyclegan" else PatchDiscriminator
    return network(channels, width=spec.width, layers=spec.layers, init_gain=init_gain)


def build_feature_discriminator(model: ModelSpec, classes: int) -> nn.Module:
    """Return a new D_feat: (N, K) logits of f_T → (N, 2) logits, K being `classes`."""
    return FeatureDiscriminator(classes, width=model.feature_discriminator.width)


def build_classifier(
    spec: ClassifierSpec, images: DomainSpec, classes: int, *, load_pretrained: bool = False
) -> Classifier:
    """Return a new f_S or f_T: (N, C, H, W) in [-1, 1] → (N, K) logits.

    Args:
        images: the domain whose images it classifies, for C, H and W.
        classes: K.
        load_pretrained: whether to load the pretrained weights of the spec. Without it, no file is
            read, since most classifiers get the weights of a trained one.

    Raises:
        SpecError: a backbone or its pretrained weights cannot be used.
    """
    match spec.name:
        case "lenet":
            return LeNet(
                images.channels, images.size, classes, width=spec.width, dropout=spec.dropout
            )
        case "dtn":
            return DTN(images.channels, images.size, classes, dropout=spec.dropout)
        case "resnet18":
            return ResNet18(images.channels, classes)
    network = _build_backbone(spec, images, classes)
    if load_pretrained and spec.is_pretrained:
        network.load_pretrained(read_pretrained(spec, images.size))
    return network


def to_device(net: Net, device: torch.device, training: TrainingSpec) -> Net:
    """Move a network to a device, with the memory format in which it will compute.

    Returns:
        The same network.
    """
    channels_last = training.channels_last
    if channels_last == "auto":
        has_instance_norm = any(isinstance(part, InstanceNorm) for part in net.modules())
        channels_last = training.compile or not has_instance_norm
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    net.to(device, memory_format=memory_format)  # type: ignore[call-overload]
    return net


def _build_backbone(spec: ClassifierSpec, images: DomainSpec, classes: int) -> Backbone:
    build = torchvision_backbone if spec.library == "torchvision" else timm_backbone
    try:
        return build(
            spec.backbone,
            images.channels,
            images.size,
            classes,
            bottleneck=spec.bottleneck,
            pretrained=spec.is_pretrained,
        )
    except ModuleNotFoundError as error:
        raise SpecError(
            f"{spec.name} needs timm, on every node: pip install 'adaptune[timm]'"
        ) from error
    except (RuntimeError, ValueError, AssertionError, TypeError) as error:
        raise SpecError(
            f"{spec.name} cannot be built for images of {images.size} px: {error}; take another"
            " network or data.source.size"
        ) from error


def uses_bf16(training: TrainingSpec, device: torch.device) -> bool:
    """Return whether forward passes on a device compute in bf16."""
    if training.precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return training.precision == "bf16"


def set_backends(spec: TrialSpec) -> None:
    """Set how this process computes on GPUs: with TF32 or not, as `training.tf32` says.

    cuDNN measures its algorithms for each new shape of a convolution, and takes the fastest. The
    shapes of a search are the same in all trials, whose worker measures them once.
    """
    torch.backends.cuda.matmul.allow_tf32 = spec.training.tf32
    torch.backends.cudnn.allow_tf32 = spec.training.tf32
    torch.backends.cudnn.benchmark = True
