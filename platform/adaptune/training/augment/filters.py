"""Blurred and partly erased images."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from adaptune.data.transfer import to_device
from adaptune.spec.augment import AugmentSpec
from adaptune.training.augment.draws import Draws, between
from adaptune.training.augment.geometry import window_sizes

_ERASE_ASPECT = (0.3, 1 / 0.3)  # as in Zhong et al. 2020
_KERNEL_SIGMAS = 3


def blur_sigmas(spec: AugmentSpec, draws: Draws) -> Tensor | None:
    """Return the standard deviation (px) of each image's blur, (N,); 0 for a sharp image.

    None stands for no blur at all.
    """
    if not spec.blur:
        return None
    sigmas = between(*spec.blur_sigma, draws["blur sigma"])
    return torch.where(draws["blur"] < spec.blur, sigmas, 0.0)


def blur_radius(spec: AugmentSpec) -> int:
    """Return the radius of all kernels in px, which does not depend on what is drawn."""
    return math.ceil(_KERNEL_SIGMAS * spec.blur_sigma[1])


def blur(images: Tensor, sigmas: Tensor, radius: int) -> Tensor:
    """Blur each image by its own Gaussian: float32 (N, C, H, W), (N,) → (N, C, H, W).

    The image is reflected at its border. A standard deviation of 0 leaves it as it is, bit by bit.

    Args:
        radius: radius of the kernels in px. It is cut to what the reflection allows.
    """
    count, channels, height, width = images.shape
    radius = min(radius, height - 1, width - 1)
    sigmas = to_device(sigmas, images.device)
    places = torch.arange(-radius, radius + 1, device=images.device, dtype=torch.float32)
    is_blurred = sigmas > 0
    divisor = torch.where(is_blurred, sigmas, 1.0)
    kernels = (-((places / divisor[:, None]) ** 2) / 2).exp()
    kernels = kernels / kernels.sum(dim=1, keepdim=True)
    groups = count * channels
    # Each channel of each image is a group, so that each can have its own kernel.
    kernels = kernels.repeat_interleave(channels, dim=0)
    padded = F.pad(images, [radius] * 4, mode="reflect")
    rows = padded.reshape(1, groups, height + 2 * radius, width + 2 * radius)
    with torch.autocast(images.device.type, enabled=False):
        rows = F.conv2d(rows, kernels.view(groups, 1, 1, -1), groups=groups)
        blurred = F.conv2d(rows, kernels.view(groups, 1, -1, 1), groups=groups)
    return torch.where(is_blurred[:, None, None, None], blurred.view_as(images), images)


def erase_boxes(spec: AugmentSpec, draws: Draws) -> Tensor | None:
    """Return the erased rectangle of each image: left, top, right and bottom, (N, 4).

    They are fractions of the image; an empty rectangle is all zeros. None stands for no erasing at
    all.
    """
    if not spec.erase:
        return None
    width, height = window_sizes(
        spec.erase_area, _ERASE_ASPECT, draws["erase area"], draws["erase aspect"]
    )
    left = (1 - width) * draws["erase x"]
    top = (1 - height) * draws["erase y"]
    boxes = torch.stack([left, top, left + width, top + height], dim=1)
    return torch.where((draws["erase"] < spec.erase)[:, None], boxes, 0.0)


def erase(images: Tensor, boxes: Tensor) -> Tensor:
    """Make a rectangle of each image grey: (N, C, H, W) in [-1, 1], (N, 4) → (N, C, H, W)."""
    left, top, right, bottom = to_device(boxes, images.device)[:, :, None].unbind(1)
    columns = _centres(images.shape[3], images.device)
    rows = _centres(images.shape[2], images.device)
    in_columns = (left <= columns) & (columns < right)
    in_rows = (top <= rows) & (rows < bottom)
    is_erased = in_rows[:, None, :, None] & in_columns[:, None, None, :]
    return images.masked_fill(is_erased, 0.0)


@cache
def _centres(size: int, device: torch.device) -> Tensor:
    """Return the centres of the pixels along an edge, as fractions of it: (size,)."""
    return (torch.arange(size, device=device, dtype=torch.float32) + 0.5) / size
