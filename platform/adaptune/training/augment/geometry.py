"""All geometric changes of an image as one affine map, so that it is interpolated only once.

A map takes places of the result to places of the image, both in the coordinates of
`torch.nn.functional.affine_grid`: from -1 to 1 along each edge, the horizontal one first.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from adaptune.data.transfer import to_device
from adaptune.spec.augment import AugmentSpec
from adaptune.training.augment.draws import Draws, between
from adaptune.training.augment.policy import Policy


def affine_maps(spec: AugmentSpec, draws: Draws, policy: Policy | None) -> Tensor | None:
    """Return the maps of N images, float32 (N, 2, 3); None if no image is to move.

    An image is cropped, flipped, turned by multiples of 90°, then shifted, rotated and scaled, and
    then changed by the policy.
    """
    if not spec.has_more_geometry:
        return _jitter(spec, draws) if spec.is_jittered else None
    maps = _window(spec, draws)
    if spec.rotate_90:
        maps = _compose(maps, _quarter_turns(draws["quarter turns"]))
    if spec.is_jittered:
        maps = _compose(maps, _jitter(spec, draws))
    if policy is not None:
        maps = _compose(maps, _policy_map(policy))
    return maps


def apply_affine(images: Tensor, maps: Tensor) -> Tensor:
    """Transform each image by its map: (N, C, H, W), (N, 2, 3) → (N, C, H, W) in float32.

    Pixels from outside an image repeat its border.
    """
    grid = _sampling_grid(to_device(maps, images.device), *images.shape[2:])
    return F.grid_sample(images.float(), grid, padding_mode="border", align_corners=False)


def _sampling_grid(maps: Tensor, height: int, width: int) -> Tensor:
    """Return the place of each pixel by the maps: (N, 2, 3) → float32 (N, H, W, 2).

    `torch.nn.functional.affine_grid` returns the same numbers by a matrix product. Autocast would
    compute that in bfloat16, and a GPU in TF32: places would be wrong by up to one pixel of 256.
    """
    columns = _centres(width, maps.device)
    rows = columns if height == width else _centres(height, maps.device)
    by_column, by_row, offset = maps[:, :, :, None, None].unbind(2)
    places = torch.addcmul(by_column * columns, by_row, rows[:, None]) + offset
    return places.permute(0, 2, 3, 1)


@cache
def _centres(size: int, device: torch.device) -> Tensor:
    """Return the places of pixels along an edge from -1 to 1: (size,), made once per device."""
    return torch.linspace(-1, 1, size, device=device) * (size - 1) / size


def _jitter(spec: AugmentSpec, draws: Draws) -> Tensor:
    """Return the maps of `shift`, `rotate` and `scale`."""
    angle, scale, shift_x, shift_y = 2 * draws["shift, rotate, scale"] - 1
    angle = angle * math.radians(spec.rotate)
    scale = 1 + scale * spec.scale
    cos = angle.cos() * scale
    sin = angle.sin() * scale
    # affine_grid counts the edge of an image as 2.
    edge = 2 * spec.shift
    return _map([cos, -sin, edge * shift_x], [sin, cos, edge * shift_y])


def _window(spec: AugmentSpec, draws: Draws) -> Tensor:
    """Return the maps of `crop`, `flip` and `flip_vertical`."""
    width, height = window_sizes(spec.crop, spec.aspect, draws["crop area"], draws["crop aspect"])
    if not spec.is_cropped:
        width = height = torch.ones_like(width)
    centre_x = (1 - width) * (2 * draws["crop x"] - 1)
    centre_y = (1 - height) * (2 * draws["crop y"] - 1)
    width = torch.where(draws["flip"] < spec.flip, -width, width)
    height = torch.where(draws["flip vertical"] < spec.flip_vertical, -height, height)
    zero = torch.zeros_like(width)
    return _map([width, zero, centre_x], [zero, height, centre_y])


def window_sizes(
    areas: tuple[float, float], aspects: tuple[float, float], area: Tensor, aspect: Tensor
) -> tuple[Tensor, Tensor]:
    """Return widths and heights of random windows, as fractions of an image: (N,), (N,).

    A window that would be wider or higher than the image is cut to it, and has less area then.

    Args:
        areas: range of the area, as fractions of the image.
        aspects: range of width / height, from which logarithms are drawn uniformly.
        area: uniform draws (N,).
        aspect: uniform draws (N,).
    """
    low, high = aspects
    root = between(math.log(low) / 2, math.log(high) / 2, aspect).exp()
    edge = between(*areas, area).sqrt()
    return (edge * root).clamp(max=1.0), (edge / root).clamp(max=1.0)


def _quarter_turns(uniform: Tensor) -> Tensor:
    """Return the maps of rotations by 0°, 90°, 180° or 270°."""
    turns = (uniform * 4).long()
    cos = torch.tensor([1.0, 0.0, -1.0, 0.0])[turns]
    sin = torch.tensor([0.0, 1.0, 0.0, -1.0])[turns]
    zero = torch.zeros_like(cos)
    return _map([cos, -sin, zero], [sin, cos, zero])


def _policy_map(policy: Policy) -> Tensor:
    """Return the maps of a policy: shears, then a rotation and a shift."""
    strengths = policy.strengths
    angle = strengths["rotate"]
    one = torch.ones_like(angle)
    zero = torch.zeros_like(angle)
    shear = _map([one, strengths["shear x"], zero], [strengths["shear y"], one, zero])
    shifts = (2 * strengths["shift x"], 2 * strengths["shift y"])
    rotation = _map([angle.cos(), -angle.sin(), shifts[0]], [angle.sin(), angle.cos(), shifts[1]])
    return _compose(shear, rotation)


def _map(first_row: list[Tensor], second_row: list[Tensor]) -> Tensor:
    """Return maps by the numbers of their rows: six times (N,) → (N, 2, 3)."""
    return torch.stack([torch.stack(first_row, 1), torch.stack(second_row, 1)], dim=1)


def _compose(outer: Tensor, inner: Tensor) -> Tensor:
    """Return the maps that apply `inner` to a place and `outer` to the result: (N, 2, 3) each.

    The image that `outer` makes is changed by `inner`. Products are written out, because autocast
    would compute a matrix product in bfloat16.
    """
    linear = outer[:, :, :2]
    product = (linear[:, :, :, None] * inner[:, None, :, :]).sum(dim=2)
    product[:, :, 2] += outer[:, :, 2]
    return product
