"""Changes of brightness, contrast, saturation and hue, with factors of their own for each image.

They are defined as in torchvision.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from adaptune.data.transfer import to_device
from adaptune.spec.augment import COLOUR_CHANNELS, AugmentSpec
from adaptune.training.augment.draws import Draws
from adaptune.training.augment.policy import Policy

_LUMA = (0.2989, 0.587, 0.114)
_NEUTRAL = (1.0, 1.0, 1.0, 0.0, 1.0)


def colour_factors(spec: AugmentSpec, draws: Draws, policy: Policy | None) -> Tensor | None:
    """Return the changes of N images, float32 (N, 5); None if no colour is to change.

    The columns are the factors of brightness, contrast and saturation (1 changes nothing, and a
    saturation of 0 makes an image grey), the turn of the hue (0 changes nothing), and -1 where the
    image is inverted, else 1.
    """
    if not spec.has_colour:
        return None
    jitter = spec.jitter
    brightness = 1 + jitter.brightness * (2 * draws["brightness"] - 1)
    contrast = 1 + jitter.contrast * (2 * draws["contrast"] - 1)
    saturation = 1 + jitter.saturation * (2 * draws["saturation"] - 1)
    hue = jitter.hue * (2 * draws["hue"] - 1)
    if policy is not None:
        brightness = brightness * (1 + policy.strengths["brightness"]).clamp(min=0)
        contrast = contrast * (1 + policy.strengths["contrast"]).clamp(min=0)
        saturation = saturation * (1 + policy.strengths["saturation"]).clamp(min=0)
    saturation = torch.where(draws["grey"] < spec.grey, 0.0, saturation)
    sign = torch.ones_like(hue)
    if spec.invert:
        sign = torch.where(draws["invert"] < spec.invert, -1.0, 1.0)
    return torch.stack([brightness, contrast, saturation, hue, sign], dim=1)


class Colours(NamedTuple):
    """The changes of the colours of N images.

    Attributes:
        columns: float32 (N, 11): the columns of `colour_factors`; for each of them 1 if it changes
            the image, else 0; and 1 if any does, else 0.
        kinds: which of the five changes can occur.
    """

    columns: Tensor
    kinds: tuple[bool, ...]

    @classmethod
    def of(cls, factors: Tensor, kinds: tuple[bool, ...]) -> Colours:
        """Return the changes by factors, (N, 5)."""
        is_used = factors != torch.tensor(_NEUTRAL)
        is_changed = is_used.any(dim=1, keepdim=True)
        return cls(torch.cat([factors, is_used, is_changed], dim=1), kinds)

    def rows(self, first: int, count: int) -> Colours:
        """Return the changes of `count` images from the image `first` on."""
        return Colours(self.columns[first : first + count], self.kinds)


def colours(
    spec: AugmentSpec, channels: int, draws: Draws, policy: Policy | None
) -> Colours | None:
    """Return the changes of N images; None if no colour is to change.

    Args:
        channels: channels of the images.
    """
    factors = colour_factors(spec, draws, policy)
    if factors is None:
        return None
    jitter = spec.jitter
    is_coloured = channels == COLOUR_CHANNELS
    kinds = (
        jitter.brightness > 0 or spec.has_policy,
        jitter.contrast > 0 or spec.has_policy,
        jitter.saturation > 0 or spec.grey > 0 or (spec.has_policy and is_coloured),
        jitter.hue > 0,
        spec.invert > 0,
    )
    return Colours.of(factors, kinds)


def change_colours(images: Tensor, colours: Colours) -> Tensor:
    """Change the colours of each image: float32 (N, C, H, W) in [-1, 1] → (N, C, H, W).

    Images whose factors change nothing are returned as they are, bit by bit. Which changes are
    computed depends on the spec only, so that a GPU never waits for what was drawn.

    Args:
        colours: the changes. Saturation and hue need three channels.
    """
    columns = to_device(colours.columns, images.device)[:, :, None, None, None]
    changed = (images + 1) / 2
    for number, change in enumerate((_brightness, _contrast, _saturation, _hue, _inversion)):
        if colours.kinds[number]:
            result = change(changed, columns[:, number])
            # The numbers of an image must not depend on the other images of its worker.
            changed = torch.where(columns[:, len(_NEUTRAL) + number] > 0, result, changed)
    return torch.where(columns[:, -1] > 0, changed * 2 - 1, images)


def luma(images: Tensor) -> Tensor:
    """Return the grey values of images: (N, 3, H, W) → (N, 1, H, W).

    The mean of the channels stands for grey if there are not three: (N, C, H, W) → (N, 1, H, W).
    """
    if images.shape[1] != COLOUR_CHANNELS:
        return images.mean(dim=1, keepdim=True)
    red, green, blue = images.split(1, dim=1)
    grey: Tensor = _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue
    return grey


def _brightness(images: Tensor, factor: Tensor) -> Tensor:
    return (images * factor).clamp(0, 1)


def _contrast(images: Tensor, factor: Tensor) -> Tensor:
    mean = luma(images).mean(dim=(1, 2, 3), keepdim=True)
    return (mean + factor * (images - mean)).clamp(0, 1)


def _saturation(images: Tensor, factor: Tensor) -> Tensor:
    grey = luma(images)
    return (grey + factor * (images - grey)).clamp(0, 1)


def _inversion(images: Tensor, sign: Tensor) -> Tensor:
    """Exchange black and white where the sign is -1."""
    return torch.where(sign < 0, 1 - images, images)


def _hue(images: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue in the model HSV; value and chroma stay."""
    red, green, blue = images.split(1, dim=1)
    value = images.amax(dim=1, keepdim=True)
    chroma = value - images.amin(dim=1, keepdim=True)
    divisor = torch.where(chroma == 0, 1.0, chroma)
    # Sixths of a turn: red is 0, green 2 and blue 4.
    of_green = 2 + (blue - red) / divisor
    of_blue = 4 + (red - green) / divisor
    of_red = (green - blue) / divisor
    hue = torch.where(value == red, of_red, torch.where(value == green, of_green, of_blue))
    hue = hue + 6 * turns
    channels = []
    for offset in (5, 3, 1):
        distance = (hue + offset) % 6
        channels.append(value - chroma * distance.minimum(4 - distance).clamp(0, 1))
    return torch.cat(channels, dim=1)
