from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from support.tiny_trial import make_images, make_spec, make_state
from torch import nn

from adaptune.data.device_images import DeviceImages
from adaptune.data.image_set import MemoryImages
from adaptune.training.sample_grid import sample_grid
from adaptune.training.state import TrainingState

EDGE = 16 + 2  # an image and the margin next to it


class Constant(nn.Module):
    """A generator whose images all have one intensity."""

    def __init__(self, intensity: float) -> None:
        super().__init__()
        self.intensity = intensity

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.full_like(images, self.intensity)


def grid_of(state: TrainingState) -> np.ndarray:
    png = sample_grid(state, make_images(state.spec, state))
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("L"))


def test_the_grid_has_five_rows_of_ten_images() -> None:
    assert grid_of(make_state(make_spec())).shape == (5 * EDGE + 2, 10 * EDGE + 2)


def test_the_rows_show_both_generators() -> None:
    state = make_state(make_spec())
    state.networks = replace(state.networks, g_st=Constant(1.0), g_ts=Constant(-1.0))
    rows = [grid_of(state)[2 + row * EDGE :][:16, 2 : 2 + 16] for row in range(5)]
    assert (rows[1] == 255).all()  # G_st(x_s)
    assert (rows[2] == 0).all()  # G_ts(G_st(x_s))
    assert (rows[4] == 0).all()  # G_ts(x_t)
    images = make_images(state.spec, state)
    for row, domain in ((0, images.source), (3, images.target)):
        expected = (domain.take(torch.tensor([0]))[0, 0] + 1) / 2 * 255
        np.testing.assert_allclose(rows[row], expected, atol=1)


@pytest.mark.parametrize("channels", [2, 5])
def test_images_of_other_channels_are_shown_in_the_first_colours(channels: int) -> None:
    state = make_state(make_spec())
    state.networks = replace(state.networks, g_st=Constant(1.0), g_ts=Constant(-1.0))
    white = np.full((10, channels, 16, 16), 255, np.uint8)
    images = make_images(state.spec, state)
    images.source = images.target = DeviceImages(
        MemoryImages(white, np.zeros((10, 32), np.uint8)), None, "cpu"
    )
    with Image.open(io.BytesIO(sample_grid(state, images))) as image:
        pixel = np.asarray(image)[2, 2]
    assert pixel.tolist() == [255, 255, 255 if channels == 5 else 0]


def test_the_averages_of_the_generators_are_shown() -> None:
    state = make_state(make_spec(ema_decay=0.9))
    before = grid_of(state)
    with torch.no_grad():
        for parameter in state.networks.g_st.parameters():
            parameter.add_(1.0)
    assert (grid_of(state) == before).all()
