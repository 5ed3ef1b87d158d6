"""The image sizes that the networks of a trial take together."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from adaptune.spec.data import MAX_SIZE, MIN_SIZE, SIZE_STEP, nearest_sizes
from adaptune.spec.model import ClassifierSpec, DiscriminatorSpec, GeneratorSpec, ModelSpec

_MIN_PATCH_PX = 4  # of the smallest map inside a generator or an image discriminator
_RESNET_STRIDE = 4
_DTN_STRIDE = 8
_VIT_NAME = re.compile(r"vit_[a-z]+_(\d+)$")
_MAXVIT_STEP = 224  # a window of 7 px at a stride of 32
_MIN_BACKBONE_SIZE = 32
_LARGER_BACKBONES = {"alexnet": 64, "inception_v3": 76, "efficientnet_v2": 36}
CLASSIFIER_SIZES = {"lenet": (16, 64), "dtn": (32, 64), "resnet18": (32, MAX_SIZE)}


@dataclass(frozen=True)
class SizeRule:
    """The image sizes that a network takes.

    Attributes:
        network: the network, as messages name it.
        remedy: advice to a user whose images have another size.
        smallest: in px.
        largest: in px.
        step: sizes are multiples of it.
    """

    network: str
    remedy: str
    smallest: int = MIN_SIZE
    largest: int = MAX_SIZE
    step: int = SIZE_STEP

    def allows(self, size: int) -> bool:
        """Return whether the network takes images of this edge in px."""
        return self.smallest <= size <= self.largest and size % self.step == 0

    def describe(self) -> str:
        """Return the sizes in words."""
        sizes = f"{self.smallest} to {self.largest} px"
        if self.step > SIZE_STEP:
            return f"multiples of {self.step} from {sizes}"
        return sizes


def size_fault(size: int, model: ModelSpec) -> str | None:
    """Return the message about a size that a network does not take; None if all networks take it.

    Args:
        size: edge of the images in px.
    """
    rules = (
        _classifier_rule(model.classifier),
        _discriminator_rule(model.discriminator),
        _generator_rule(model.generator),
    )
    for rule in rules:
        if not rule.allows(size):
            break
    else:
        return None
    allowed = []
    for other in range(MIN_SIZE, MAX_SIZE + 1, SIZE_STEP):
        if all(rule.allows(other) for rule in rules):
            allowed.append(other)
    message = f"{rule.network} takes {rule.describe()}, not {size}: {rule.remedy}"
    if not allowed:
        return message
    return f"{message}, or images of {nearest_sizes(size, allowed)} px, which all networks take"


def _generator_rule(spec: GeneratorSpec) -> SizeRule:
    if spec.name == "resnet":
        return SizeRule("generator resnet", "take unshuffle", step=_RESNET_STRIDE)
    return SizeRule(
        f"generator unshuffle with factor {spec.factor}",
        "take a smaller factor",
        smallest=_MIN_PATCH_PX * spec.factor,
        step=spec.factor,
    )


def _discriminator_rule(spec: DiscriminatorSpec) -> SizeRule:
    # A stride-2 convolution halves an odd edge, too, and rounds down.
    return SizeRule(
        f"a discriminator of {spec.layers} layers",
        "take fewer layers",
        smallest=_MIN_PATCH_PX << spec.layers,
    )


def _classifier_rule(spec: ClassifierSpec) -> SizeRule:
    if spec.library is not None:
        return _backbone_rule(spec)
    smallest, largest = CLASSIFIER_SIZES[spec.name]
    step = _DTN_STRIDE if spec.name == "dtn" else SIZE_STEP
    return SizeRule(f"classifier {spec.name}", "take another one", smallest, largest, step)


def _backbone_rule(spec: ClassifierSpec) -> SizeRule:
    smallest = _MIN_BACKBONE_SIZE
    step = SIZE_STEP
    vit = _VIT_NAME.match(spec.backbone)
    if spec.library == "torchvision" and vit is not None:
        step = math.lcm(SIZE_STEP, int(vit[1]))  # whole patches
    elif spec.backbone == "maxvit_t":
        step = _MAXVIT_STEP
    for prefix, size in _LARGER_BACKBONES.items():
        if spec.backbone.startswith(prefix):
            smallest = size
    # The smallest size that messages name is a multiple, too.
    smallest = math.ceil(smallest / step) * step
    return SizeRule(f"classifier {spec.name}", "take another one", smallest=smallest, step=step)
