"""A grid of sample translations."""

from __future__ import annotations

import io

import torch
from torch import Tensor
from torchvision.utils import save_image

from adaptune.data.device_images import DeviceImages
from adaptune.training.state import TrainingState
from adaptune.training.steps.batch import TrainingImages

ROWS = 5
COLUMNS = 10


@torch.no_grad()
def sample_grid(state: TrainingState, images: TrainingImages) -> bytes:
    """Return a PNG of five rows: x_s, G_st(x_s), G_ts(G_st(x_s)), x_t, G_ts(x_t).

    The images x_s and x_t are the same after each epoch. Of other than one or three channels, the
    first three are shown as RGB; the blue of two channels is black.
    """
    g_st = state.eval_network("g_st")
    g_ts = state.eval_network("g_ts")
    source = _samples(images.source)
    target = _samples(images.target)
    translated = g_st(source)
    rows = torch.cat([source, translated, g_ts(translated), target, g_ts(target)])
    png = io.BytesIO()
    colours = _as_colours(rows.float())
    save_image(colours, png, format="png", nrow=COLUMNS, normalize=True, value_range=(-1, 1))
    return png.getvalue()


def _as_colours(images: Tensor) -> Tensor:
    """Return images (N, C, H, W) with one or three channels."""
    channels = images.shape[1]
    if channels == 2:
        black = torch.full_like(images[:, :1], -1)
        return torch.cat([images, black], dim=1)
    return images[:, :3]


def _samples(images: DeviceImages) -> Tensor:
    """Return images at equal distances, (COLUMNS, C, H, W) in [-1, 1]."""
    indices = torch.linspace(0, len(images) - 1, COLUMNS).long()
    return images.take(indices)
