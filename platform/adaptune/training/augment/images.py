"""The augmentation of a batch: each image has its own random changes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from adaptune.spec.augment import AugmentSpec
from adaptune.training.augment.colour import Colours, change_colours, colours
from adaptune.training.augment.draws import draw
from adaptune.training.augment.filters import blur, blur_radius, blur_sigmas, erase, erase_boxes
from adaptune.training.augment.geometry import affine_maps, apply_affine
from adaptune.training.augment.policy import choose


class Augmentation(NamedTuple):
    """The random changes of N images, sampled on the CPU; None stands for no change of a kind.

    Attributes:
        maps: see `affine_maps`, (N, 2, 3).
        colours: see `colours`.
        sigmas: standard deviations of the blur in px, (N,).
        blur_radius: radius of the kernels of the blur in px.
        boxes: see `erase_boxes`, (N, 4).
    """

    maps: Tensor | None
    colours: Colours | None
    sigmas: Tensor | None
    blur_radius: int
    boxes: Tensor | None

    def rows(self, first: int, count: int) -> Augmentation:
        """Return the changes of `count` images from the image `first` on."""
        return Augmentation(
            maps=_rows(self.maps, first, count),
            colours=None if self.colours is None else self.colours.rows(first, count),
            sigmas=_rows(self.sigmas, first, count),
            blur_radius=self.blur_radius,
            boxes=_rows(self.boxes, first, count),
        )


def sample_augmentation(
    spec: AugmentSpec, channels: int, count: int, generator: torch.Generator
) -> Augmentation:
    """Sample the changes of N images.

    Sampling is separate from use, so that each worker can take its part of one global sample.

    Args:
        channels: channels of the images.
        count: N.
        generator: random numbers on the CPU.
    """
    draws = draw(spec, count, generator)
    policy = choose(spec, channels, draws) if spec.has_policy else None
    return Augmentation(
        maps=affine_maps(spec, draws, policy),
        colours=colours(spec, channels, draws, policy),
        sigmas=blur_sigmas(spec, draws),
        blur_radius=blur_radius(spec),
        boxes=erase_boxes(spec, draws),
    )


def apply_augmentation(images: Tensor, augmentation: Augmentation) -> Tensor:
    """Change images: (N, C, H, W) in [-1, 1] → the same shape and type.

    Each image is moved, then coloured, blurred and erased. All of it is computed in float32, even
    under autocast. Changes that are None cost nothing.
    """
    changed = images.float()
    if augmentation.maps is not None:
        changed = apply_affine(changed, augmentation.maps)
    if augmentation.colours is not None:
        changed = change_colours(changed, augmentation.colours)
    if augmentation.sigmas is not None:
        changed = blur(changed, augmentation.sigmas, augmentation.blur_radius)
    if augmentation.boxes is not None:
        changed = erase(changed, augmentation.boxes)
    return changed.to(images.dtype)


def augment_images(spec: AugmentSpec, images: Tensor, generator: torch.Generator) -> Tensor:
    """Change the images of a batch: (N, C, H, W) in [-1, 1] → the same.

    Without any option, the images are returned as they are.

    Args:
        generator: random numbers on the CPU.
    """
    if not spec.is_active:
        return images
    sample = sample_augmentation(spec, images.shape[1], len(images), generator)
    return apply_augmentation(images, sample)


def _rows(values: Tensor | None, first: int, count: int) -> Tensor | None:
    return None if values is None else values[first : first + count]
