"""Comparison of images that may be crops of each other, pair by pair."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

_STEPS = 4
# An image may be cropped by a tenth and moved by 6% of its edge, which is 2 in these units.
_SCALES = (0.89, 1.13)
_LARGEST_SHIFT = 0.12
_LARGEST_STEP = 0.1
_EPSILON = 1e-6


def no_alignment(count: int) -> Tensor:
    """Return the parameters of pairs that are not moved: scale and shift of x and y, (P, 4)."""
    return torch.tensor([1.0, 0.0, 1.0, 0.0]).repeat(count, 1)


def align(first: Tensor, second: Tensor, parameters: Tensor) -> Tensor:
    """Return the parameters that move the first image of each pair onto the second: (P, 4).

    They are found by Gauss-Newton steps on the correlation (Evangelidis & Psarakis 2008). A scale
    and a shift per axis are enough for crops, which preparation resizes to the common size. Steps
    at a small size find large shifts.

    Args:
        first: grey images, float (P, 1, H, H).
        second: grey images, float (P, 1, H, H).
        parameters: where to begin, (P, 4).
    """
    for _ in range(_STEPS):
        parameters = _improved(first, second, parameters)
    return parameters


def aligned_correlation(first: Tensor, second: Tensor, parameters: Tensor) -> Tensor:
    """Return the correlation of pairs of images after the first one of each is moved.

    Brightness and contrast do not matter.

    Args:
        first: float (P, C, H, H).
        second: float (P, C, H, H).
        parameters: those of `align`, at any size, (P, 4).

    Returns:
        float (P,) in [-1, 1]: the correlation of all channels where the two overlap.
    """
    moved, mask = _move(first, parameters)
    product = _standardise(moved, mask) * _standardise(second, mask)
    return product.sum(dim=(1, 2, 3))


def _improved(first: Tensor, second: Tensor, parameters: Tensor) -> Tensor:
    """Return the parameters after one damped Gauss-Newton step: (P, 4) → (P, 4)."""
    moved, mask = _move(first, parameters)
    moved = _standardise(moved, mask)
    residual = (_standardise(second, mask) - moved).flatten(1)
    edge = first.shape[-1]
    positions = _positions(edge)
    padded = F.pad(moved, (1, 1, 1, 1), mode="replicate")
    across = mask * (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) * (edge / 4)
    down = mask * (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) * (edge / 4)
    columns = torch.cat([across * positions, across, down * positions[:, None], down], dim=1)
    jacobian = columns.flatten(2)
    hessian = jacobian @ jacobian.mT
    damping = 1e-3 * hessian.diagonal(dim1=1, dim2=2).mean(dim=1) + _EPSILON
    hessian = hessian + damping[:, None, None] * torch.eye(4)
    step = torch.linalg.solve(hessian, jacobian @ residual[:, :, None])[:, :, 0]
    scale_x, shift_x, scale_y, shift_y = (
        parameters + step.clamp(-_LARGEST_STEP, _LARGEST_STEP)
    ).unbind(dim=1)
    return torch.stack(
        [
            scale_x.clamp(*_SCALES),
            shift_x.clamp(-_LARGEST_SHIFT, _LARGEST_SHIFT),
            scale_y.clamp(*_SCALES),
            shift_y.clamp(-_LARGEST_SHIFT, _LARGEST_SHIFT),
        ],
        dim=1,
    )


def _move(images: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
    """Return the moved images (P, C, H, W), and where they have pixels, 0 or 1 (P, 1, H, W)."""
    edge = images.shape[-1]
    positions = _positions(edge)
    scale_x, shift_x, scale_y, shift_y = parameters[:, :, None].unbind(dim=1)
    x = scale_x * positions + shift_x
    y = scale_y * positions + shift_y
    columns = x[:, None, :].expand(-1, edge, -1)
    rows = y[:, :, None].expand(-1, -1, edge)
    grid = torch.stack([columns, rows], dim=-1)
    mask = ((columns.abs() <= 1) & (rows.abs() <= 1)).float()[:, None]
    moved = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return moved, mask


def _positions(edge: int) -> Tensor:
    """Return the centres of the pixels along an axis, (edge,) in (-1, 1)."""
    return (torch.arange(edge) + 0.5) * 2 / edge - 1


def _standardise(images: Tensor, mask: Tensor) -> Tensor:
    """Subtract the mean of each channel under the mask, and divide by the norm of the image."""
    pixels = mask.sum(dim=(2, 3), keepdim=True).clamp_min(1)
    mean = (images * mask).sum(dim=(2, 3), keepdim=True) / pixels
    centred = (images - mean) * mask
    norm: Tensor = centred.flatten(1).norm(dim=1).clamp_min(_EPSILON)
    return centred / norm[:, None, None, None]


def aligned_concordance(first: Tensor, second: Tensor, parameters: Tensor) -> Tensor:
    """Return the concordance of pairs of images after the first one of each is moved.

    Lin's coefficient (1989) is the correlation, reduced by differences in brightness, contrast and
    colour: a copy has the same colours, but drawings of one shape in two colours correlate.

    Args:
        first: float (P, C, H, H).
        second: float (P, C, H, H).
        parameters: those of `align`, at any size, (P, 4).

    Returns:
        float (P,) in [-1, 1], at most the correlation.
    """
    moved, mask = _move(first, parameters)
    pixels = mask.sum(dim=(2, 3), keepdim=True).clamp_min(1)
    mean_moved = (moved * mask).sum(dim=(2, 3), keepdim=True) / pixels
    mean_second = (second * mask).sum(dim=(2, 3), keepdim=True) / pixels
    centred_moved = (moved - mean_moved) * mask
    centred_second = (second - mean_second) * mask
    covariance = (centred_moved * centred_second).sum(dim=(1, 2, 3))
    variances = (centred_moved**2 + centred_second**2).sum(dim=(1, 2, 3))
    offsets = ((mean_moved - mean_second) ** 2 * pixels).sum(dim=(1, 2, 3))
    concordance: Tensor = 2 * covariance / (variances + offsets).clamp_min(_EPSILON)
    return concordance
