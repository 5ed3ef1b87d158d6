"""Changes of images before a discriminator, through which the generator gets its gradient.

They are those of DiffAugment (Zhao et al. 2020). No value is clamped, and shifts are by whole
pixels, so that the gradient of every visible pixel is kept.
"""

from __future__ import annotations

import torch
from torch import Tensor

from adaptune.data.transfer import to_device
from adaptune.spec.discriminator_augment import DiscriminatorAugmentSpec
from adaptune.training.augment.filters import erase

# The order decides the numbers, so new names are added at the end.
_NAMES = ("brightness", "saturation", "contrast", "shift x", "shift y", "cutout x", "cutout y")


def draw_changes(count: int, generator: torch.Generator) -> Tensor:
    """Draw the random numbers for N images: uniform in [0, 1), float32 (N, 7) on the CPU.

    Args:
        count: N.
        generator: random numbers on the CPU.
    """
    return torch.rand(len(_NAMES), count, generator=generator).T


def change_images(spec: DiscriminatorAugmentSpec, images: Tensor, draws: Tensor) -> Tensor:
    """Change the colours of each image, shift it and make a part of it grey.

    (N, C, H, W), (N, 7) → (N, C, H, W) of the same type, computed in float32.

    Args:
        draws: random numbers of the images, see `draw_changes`.
    """
    uniform = dict(zip(_NAMES, to_device(draws, images.device).unbind(1), strict=True))
    changed = images.float()
    if spec.brightness:
        changed = changed + _signed(uniform["brightness"], spec.brightness)
    if spec.saturation:
        grey = changed.mean(dim=1, keepdim=True)
        changed = grey + (1 + _signed(uniform["saturation"], spec.saturation)) * (changed - grey)
    if spec.contrast:
        mean = changed.mean(dim=(1, 2, 3), keepdim=True)
        changed = mean + (1 + _signed(uniform["contrast"], spec.contrast)) * (changed - mean)
    if spec.shift:
        changed = _shift(changed, uniform["shift x"], spec.shift, dim=3)
        changed = _shift(changed, uniform["shift y"], spec.shift, dim=2)
    if spec.cutout:
        centres = torch.stack([uniform["cutout x"], uniform["cutout y"]], dim=1)
        half = spec.cutout / 2
        changed = erase(changed, torch.cat([centres - half, centres + half], dim=1))
    return changed.to(images.dtype)


def _signed(uniform: Tensor, largest: float) -> Tensor:
    """Return numbers from -largest to largest, one per image: (N,) → (N, 1, 1, 1)."""
    return largest * (2 * uniform - 1)[:, None, None, None]


def _shift(images: Tensor, uniform: Tensor, part: float, dim: int) -> Tensor:
    """Shift each image along one dimension: (N, C, H, W), (N,) → (N, C, H, W)."""
    size = images.shape[dim]
    largest = round(part * size)
    offsets = (uniform * (2 * largest + 1)).long() - largest
    places = torch.arange(size, device=images.device) - offsets[:, None]
    shape = [len(images), 1, 1, 1]
    shape[dim] = size
    is_inside = (places >= 0) & (places < size)
    index = places.clamp(0, size - 1).view(shape).expand_as(images)
    return torch.where(is_inside.view(shape), images.gather(dim, index), 0.0)
