"""Backbones of torchvision and timm as classifiers, with or without pretrained weights."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Statistics = tuple[tuple[float, ...], tuple[float, ...]]  # mean and standard deviation, for [0, 1]

_RGB = 3
_FAULTS_NAMED = 3
# Heads for training from scratch, which inference and transfer do without.
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
_WITH_AUXILIARY = ("googlenet", "inception_v3")
# torchvision's files for DenseNet have dots in these names.
_DENSENET_NAME = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")


class Backbone(nn.Module):
    """A classifier of a backbone, an optional bottleneck and a new last layer.

    Args:
        body: the backbone without its head, (N, C, H, W) → (N, D).
        width: D.
        classes: K.
        bottleneck: B, the units of a linear layer and batch norm after the backbone, as in SHOT
            (Liang et al. 2020); None leaves them out.
        statistics: the mean and the standard deviation of images that the weights were trained on,
            per channel of RGB; None passes images on as they are. With it, the body takes RGB, and
            an image of one channel is repeated.
        head_names: prefixes of the names of what the body lacks in a state dict of the whole
            network.
    """

    _scale: Tensor
    _shift: Tensor

    def __init__(
        self,
        body: nn.Module,
        width: int,
        classes: int,
        *,
        bottleneck: int | None = None,
        statistics: Statistics | None = None,
        head_names: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.body = body
        self.bottleneck = nn.Sequential()
        if bottleneck is not None:
            self.bottleneck.append(nn.Linear(width, bottleneck))
            self.bottleneck.append(nn.BatchNorm1d(bottleneck))
        self.fc = nn.Linear(bottleneck or width, classes)
        self._head_names = head_names
        self._is_normalised = statistics is not None
        if statistics is not None:
            mean, std = torch.tensor(statistics).view(2, 1, -1, 1, 1)
            # Images are in [-1, 1], and the statistics are those of [0, 1].
            self.register_buffer("_scale", 0.5 / std, persistent=False)
            self.register_buffer("_shift", (0.5 - mean) / std, persistent=False)

    @property
    def last_layer(self) -> nn.Linear:
        """The linear layer that computes the logits."""
        return self.fc

    def features(self, x: Tensor) -> Tensor:
        """Compute the input of the last layer: (N, C, H, W) in [-1, 1] → (N, B), or (N, D)."""
        if self._is_normalised:
            # A grey image becomes RGB by broadcasting.
            x = x * self._scale + self._shift
        features: Tensor = self.bottleneck(self.body(x))
        return features

    def head(self, features: Tensor) -> Tensor:
        """Apply the last layer: (N, B), or (N, D) → (N, K) logits."""
        logits: Tensor = self.fc(features)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Classify images: (N, C, H, W) in [-1, 1] → (N, K) logits."""
        return self.head(self.features(x))

    def load_pretrained(self, weights: Mapping[str, Tensor]) -> None:
        """Load pretrained weights into the body; the rest of the classifier stays as it is.

        Args:
            weights: state dict of the whole network, each tensor of any shape; its head is ignored.

        Raises:
            ValueError: the weights do not fit.
        """
        self.body.load_state_dict(self.body_weights(weights), strict=False)

    def body_weights(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights of the body among those of the whole network.

        Args:
            weights: state dict of the whole network, each tensor of any shape.

        Raises:
            ValueError: a weight of the body is missing or has another shape, or one is unknown.
        """
        given = {}
        for name, value in weights.items():
            if not name.startswith(self._head_names):
                given[_DENSENET_NAME.sub(r"\1\2", name)] = value
        given = _resized_positions(given, self.body)
        _check_fit(given, self.body.state_dict())
        return given


def torchvision_backbone(
    name: str,
    channels: int,
    size: int,
    classes: int,
    *,
    bottleneck: int | None = None,
    pretrained: bool = False,
) -> Backbone:
    """Return a classification model of torchvision with a new head; its weights are random.

    Args:
        name: torchvision's name of the model, such as `resnet50`; one that ends in a linear layer.
        channels: C of the images. With `pretrained`, 1 or 3.
        size: H = W of the images in px.
        classes: K.
        bottleneck: units of the bottleneck; None leaves it out.
        pretrained: whether the classifier is for weights that were trained on ImageNet. Its images
            are then normalised as ImageNet's.
    """
    options: dict[str, Any] = {}
    if name in _WITH_AUXILIARY:
        # torchvision's pretrained ones expect other statistics, and convert from ImageNet's.
        options = {"aux_logits": False, "init_weights": False, "transform_input": pretrained}
    elif name.startswith("vit_"):
        options = {"image_size": size}
    elif name.startswith("maxvit_"):
        options = {"input_size": (size, size)}
    body = _build(name, options)
    head_name, head = _last_linear(body)
    body.set_submodule(head_name, nn.Identity())
    if not pretrained and channels != _RGB:
        _take_channels(body, channels)
    return Backbone(
        body,
        head.in_features,
        classes,
        bottleneck=bottleneck,
        statistics=(IMAGENET_MEAN, IMAGENET_STD) if pretrained else None,
        head_names=(f"{head_name}.", *_AUXILIARY),
    )


def timm_backbone(
    name: str,
    channels: int,
    size: int,
    classes: int,
    *,
    bottleneck: int | None = None,
    pretrained: bool = False,
) -> Backbone:
    """Return a model of timm with a new head; its weights are random.

    Args:
        name: timm's name of the model, such as `convnextv2_atto`.
        channels: C of the images. With `pretrained`, 1 or 3.
        size: H = W of the images in px.
        classes: K.
        bottleneck: units of the bottleneck; None leaves it out.
        pretrained: whether the classifier is for pretrained weights. Its images are then normalised
            by the statistics of timm's weights.

    Raises:
        ModuleNotFoundError: timm is not installed.
        RuntimeError: timm has no such model.
    """
    import timm

    options = {"in_chans": _RGB if pretrained else channels, **timm_options(name, size)}
    body = timm.create_model(name, num_classes=0, **options)
    with torch.device("meta"):
        whole = timm.create_model(name, num_classes=classes, **options)
    settings = body.pretrained_cfg
    return Backbone(
        body,
        getattr(body, "head_hidden_size", body.num_features),
        classes,
        bottleneck=bottleneck,
        statistics=(settings["mean"], settings["std"]) if pretrained else None,
        head_names=tuple(whole.state_dict().keys() - body.state_dict().keys()),
    )


def timm_options(name: str, size: int) -> dict[str, int]:
    """Return the options of `timm.create_model` for images of an edge in px."""
    import timm

    settings = timm.get_pretrained_cfg(name)
    if settings is not None and settings.fixed_input_size:
        return {"img_size": size}
    return {}


def _build(name: str, options: dict[str, Any]) -> nn.Module:
    from torchvision import models

    if not name.startswith("regnet_"):
        body: nn.Module = models.get_model(name, weights=None, **options)
        return body
    # The widths of a RegNet are computed by tensors, which must have values.
    device = torch.get_default_device()
    with torch.device("cpu"):
        body = models.get_model(name, weights=None, **options)
    return body.to(device)


def _last_linear(body: nn.Module) -> tuple[str, nn.Linear]:
    """Return the last linear layer of a network, which is its head, and its name."""
    layers = [part for part in body.named_modules() if isinstance(part[1], nn.Linear)]
    name, layer = layers[-1]
    assert isinstance(layer, nn.Linear)
    return name, layer


def _take_channels(body: nn.Module, channels: int) -> None:
    """Replace the first convolution of a network by one for C channels."""
    for name, layer in body.named_modules():
        if isinstance(layer, nn.Conv2d):
            convolution = nn.Conv2d(
                channels,
                layer.out_channels,
                layer.kernel_size,  # type: ignore[arg-type]
                stride=layer.stride,  # type: ignore[arg-type]
                padding=layer.padding,  # type: ignore[arg-type]
                bias=layer.bias is not None,
            )
            body.set_submodule(name, convolution)
            return


def _resized_positions(weights: dict[str, Tensor], body: nn.Module) -> dict[str, Tensor]:
    """Return the weights, those of a vision transformer with embeddings for its image size."""
    from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

    if not isinstance(body, VisionTransformer) or "encoder.pos_embedding" not in weights:
        return weights
    state = OrderedDict(weights)
    return dict(interpolate_embeddings(body.image_size, body.patch_size, state))


def _check_fit(given: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    faults = []
    for name, value in expected.items():
        if name in given:
            if given[name].shape != value.shape:
                shapes = f"{tuple(given[name].shape)} instead of {tuple(value.shape)}"
                faults.append(f"{name} is {shapes}")
        elif not name.endswith("num_batches_tracked"):  # old files lack these counters
            faults.append(f"{name} is missing")
    faults += [f"{name} is unknown" for name in given if name not in expected]
    if faults:
        rest = len(faults) - _FAULTS_NAMED
        more = f", and {rest} more" if rest > 0 else ""
        raise ValueError(f"{', '.join(faults[:_FAULTS_NAMED])}{more}")
