"""A policy like RandAugment (Cubuk et al. 2020): a few random operations for each image.

Operations add to the parameters of the other options instead of running one after the other, so
that they cost no pass over the images of their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from adaptune.spec.augment import COLOUR_CHANNELS, AugmentSpec
from adaptune.training.augment.draws import Draws, policy_names

# The strength of each operation at magnitude 1, as in RandAugment: angles in radians, shears as
# slopes, shifts as fractions of the edge, colours as changes of a factor.
_STRONGEST = {
    "identity": 0.0,
    "rotate": math.radians(30),
    "shear x": 0.3,
    "shear y": 0.3,
    "shift x": 0.45,
    "shift y": 0.45,
    "brightness": 0.9,
    "contrast": 0.9,
    "saturation": 0.9,
}
_NEEDS_COLOUR = ("saturation",)


@dataclass(frozen=True)
class Policy:
    """The operations that a policy chose for N images.

    Attributes:
        strengths: sum of the signed strengths of each operation, float32 (N,); 0 if it was not
            chosen.
    """

    strengths: dict[str, Tensor]


def choose(spec: AugmentSpec, channels: int, draws: Draws) -> Policy:
    """Choose `policy_ops` operations for each image, (N,) draws each, with random directions.

    Args:
        channels: channels of the images; operations on colours need three.
    """
    names = list(_STRONGEST)
    if channels != COLOUR_CHANNELS:
        names = [name for name in names if name not in _NEEDS_COLOUR]
    strongest = torch.tensor([spec.policy_magnitude * _STRONGEST[name] for name in names])
    total = torch.zeros(len(draws["flip"]), len(names))
    for slot in range(spec.policy_ops):
        operation, direction = (draws[name] for name in policy_names(slot))
        index = (operation * len(names)).long()
        sign = torch.where(direction < 0.5, -1.0, 1.0)
        total += sign[:, None] * strongest * one_hot(index, len(names))
    strengths = {name: torch.zeros(len(total)) for name in _STRONGEST}
    strengths |= zip(names, total.unbind(1), strict=True)
    return Policy(strengths)
