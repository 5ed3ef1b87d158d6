"""A grid of sample translations."""

from __future__ import annotations

import io

import torch
from torch import Tensor

from adaptune.data.device_images import DeviceImages
from adaptune.training.build import uses_bf16
from adaptune.training.inference import infer
from adaptune.training.state import TrainingState
from adaptune.training.steps.batch import TrainingImages

ROWS = 5
COLUMNS = 10


def sample_grid(state: TrainingState, images: TrainingImages) -> bytes:
    """Return a PNG of five rows: x_s, G_st(x_s), G_ts(G_st(x_s)), x_t, G_ts(x_t).

    The images x_s and x_t are the same after each epoch. Of other than one or three channels, the
    first three are shown as RGB; the blue of two channels is black.
    """
    from torchvision.utils import save_image  # imports the compiler of torch, which is slow

    g_st = state.eval_network("g_st")
    g_ts = state.eval_network("g_ts")
    bf16 = uses_bf16(state.spec.training, state.device)

    def translate_twice(batch: Tensor) -> Tensor:
        translated = g_st(batch)
        return torch.stack([translated, g_ts(translated)], dim=1)

    of_source = _sampled(images.source)
    of_target = _sampled(images.target)
    translated, reconstructed = infer(translate_twice, images.source, of_source, bf16=bf16).unbind(
        1
    )
    target_translated = infer(g_ts, images.target, of_target, bf16=bf16)
    source = images.source.take(of_source)
    target = images.target.take(of_target)
    rows = torch.cat([source, translated, reconstructed, target, target_translated])
    png = io.BytesIO()
    colours = _as_colours(rows)
    save_image(colours, png, format="png", nrow=COLUMNS, normalize=True, value_range=(-1, 1))
    return png.getvalue()


def _as_colours(images: Tensor) -> Tensor:
    """Return images (N, C, H, W) with one or three channels."""
    channels = images.shape[1]
    if channels == 2:
        black = torch.full_like(images[:, :1], -1)
        return torch.cat([images, black], dim=1)
    return images[:, :3]


def _sampled(images: DeviceImages) -> Tensor:
    """Return indices at equal distances, int64 (COLUMNS,)."""
    return torch.linspace(0, len(images) - 1, COLUMNS).long()
