"""A picture of what the generators do."""

from __future__ import annotations

import io

import torch
from torchvision.utils import save_image

from adaptune.training.state import TrainingState
from adaptune.training.steps.batch import TrainingImages

COLUMNS = 10


@torch.no_grad()
def sample_grid(state: TrainingState, images: TrainingImages) -> bytes:
    """A PNG of five rows: x_s, G_st(x_s), G_ts(G_st(x_s)), x_t, G_ts(x_t). The same images every time."""
    there, back = state.eval_network("g_source_to_target"), state.eval_network("g_target_to_source")
    first, second = (
        data.take(torch.linspace(0, len(data) - 1, COLUMNS).long())
        for data in (images.source, images.target)
    )
    translated = there(first)
    rows = torch.cat([first, translated, back(translated), second, back(second)])
    png = io.BytesIO()
    save_image(rows.float(), png, format="png", nrow=COLUMNS, normalize=True, value_range=(-1, 1))
    return png.getvalue()
