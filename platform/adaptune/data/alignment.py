"""Comparison of images that may be crops of each other, pair by pair."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

# Edges in px at which pairs are aligned, the coarse one first.
_EDGES_PX = (16, 32)
_STEPS = 5
# A pair that agrees less at the coarse edge cannot be one image; most pairs end there.
_COARSE_CORRELATION = 0.85
# An image may be cropped by a sixth and moved by a tenth of its edge.
_SCALES = (0.84, 1.19)
_LARGEST_SHIFT = 0.2
_LARGEST_STEP = 0.1
_EPSILON = 1e-6


def aligned_correlation(first: Tensor, second: Tensor) -> Tensor:
    """Return the correlation of pairs of images after one of each pair is moved onto the other.

    The alignment is found by Gauss-Newton steps on the grey images (Evangelidis & Psarakis 2008).
    It has four parameters, a scale and a shift per axis: enough for crops, which preparation
    resizes to the common size. Brightness and contrast do not matter.

    Args:
        first: float (P, C, H, W).
        second: float (P, C, H, W).

    Returns:
        float (P,) in [-1, 1]: the correlation of all channels where the two overlap.
    """
    correlations = torch.zeros(len(first))
    parameters = torch.tensor([1.0, 0.0, 1.0, 0.0]).repeat(len(first), 1)
    alive = torch.arange(len(first))
    for edge in _EDGES_PX:
        grey_first = _grey(first[alive], edge)
        grey_second = _grey(second[alive], edge)
        for _ in range(_STEPS):
            parameters[alive] = _improved(grey_first, grey_second, parameters[alive])
        correlations[alive] = _correlation(grey_first, grey_second, parameters[alive])
        alive = alive[correlations[alive] > _COARSE_CORRELATION]
    correlations[alive] = _correlation(first[alive], second[alive], parameters[alive])
    return correlations


def _grey(images: Tensor, edge: int) -> Tensor:
    return F.adaptive_avg_pool2d(images.mean(dim=1, keepdim=True), edge)


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


def _correlation(first: Tensor, second: Tensor, parameters: Tensor) -> Tensor:
    moved, mask = _move(first, parameters)
    return (_standardise(moved, mask) * _standardise(second, mask)).sum(dim=(1, 2, 3))


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
    norm = centred.flatten(1).norm(dim=1).clamp_min(_EPSILON)
    return centred / norm[:, None, None, None]
