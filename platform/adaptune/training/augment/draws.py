"""The random numbers of an augmentation: uniform in [0, 1), one row per use, a column per image."""

from __future__ import annotations

import torch
from torch import Tensor

from adaptune.spec.augment import AugmentSpec

# The order decides the numbers, so new names are added at the end. A row is drawn even if its
# option is off: switching an option on does not change the draws of the others.
_NAMES = (
    "crop area",
    "crop aspect",
    "crop x",
    "crop y",
    "flip",
    "flip vertical",
    "quarter turns",
    "brightness",
    "contrast",
    "saturation",
    "hue",
    "grey",
    "blur",
    "blur sigma",
    "erase",
    "erase area",
    "erase aspect",
    "erase x",
    "erase y",
)

Draws = dict[str, Tensor]


def draw(spec: AugmentSpec, count: int, generator: torch.Generator) -> Draws:
    """Draw the random numbers for N images: float32 on the CPU.

    They are (N,) each, and (4, N) with the name "shift, rotate, scale".

    Args:
        count: N.
        generator: random numbers on the CPU.
    """
    draws = {"shift, rotate, scale": torch.rand(4, count, generator=generator)}
    if spec.has_more_geometry or spec.has_colour or spec.blur or spec.erase:
        draws |= _rows(_NAMES, count, generator)
    if spec.has_policy:
        for slot in range(spec.policy_ops):
            draws |= _rows(policy_names(slot), count, generator)
    if spec.invert:
        draws |= _rows(("invert",), count, generator)
    return draws


def policy_names(slot: int) -> tuple[str, str]:
    """Return the names of the draws that choose an operation of the policy and its direction."""
    return f"operation {slot}", f"direction {slot}"


def between(low: float, high: float, uniform: Tensor) -> Tensor:
    """Return numbers of [0, 1) stretched to [low, high): any shape → the same shape."""
    return low + (high - low) * uniform


def _rows(names: tuple[str, ...], count: int, generator: torch.Generator) -> Draws:
    values = torch.rand(len(names), count, generator=generator)
    return dict(zip(names, values, strict=True))
