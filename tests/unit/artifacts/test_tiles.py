"""Tiles of a large image are blended without a visible border."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from support.random_export import random_export
from torch import Tensor

from adaptune.artifacts.preprocess import to_uint8
from adaptune.artifacts.tiles import Translate, translate_in_tiles
from adaptune.artifacts.translate import Translator
from adaptune.data.array_types import Images, Pixels

SIZE = 128


def identity(tiles: Pixels) -> Tensor:
    return torch.from_numpy(tiles.astype(np.float32) / 127.5 - 1).permute(0, 3, 1, 2)


def contrast(tiles: Pixels) -> Tensor:
    """Normalise each tile as instance norm does, so that neighbours differ in brightness."""
    images = identity(tiles)
    mean = images.mean(dim=(2, 3), keepdim=True)
    return ((images - mean) / images.std(dim=(2, 3), keepdim=True) / 3).clamp(-1, 1)


def picture(height: int, width: int) -> Pixels:
    """Return a photograph-like image: light from one side, dark patches, and fine texture."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    light = 60 + 120 * x / width + 40 * np.sin(y / 90) * np.cos(x / 130)
    texture = random.normal(0, 6, (height, width, 3))
    return (light[..., None] + texture).clip(0, 255).astype(np.uint8)


def steps(image: Images, axis: int) -> np.ndarray:
    """Return the mean difference of neighbours across each line between pixels."""
    differences = np.abs(np.diff(image.astype(float), axis=axis))
    return differences.mean(axis=(1 - axis, 2))


def borders(length: int, size: int) -> list[int]:
    """Return the lines at which a tile begins or ends."""
    starts = [*range(0, length - size, size // 2), length - size]
    lines = {start - 1 for start in starts} | {start + size - 1 for start in starts}
    return sorted(line for line in lines if 0 <= line < length - 1)


def side_by_side(image: Pixels, translate: Translate) -> Images:
    """Return an image of whole tiles that are not blended."""
    height, width = (edge // SIZE * SIZE for edge in image.shape[:2])
    result = np.zeros((height, width, 3), dtype=np.uint8)
    for top in range(0, height, SIZE):
        for left in range(0, width, SIZE):
            tile = image[None, top : top + SIZE, left : left + SIZE]
            part = to_uint8(translate(tile))[0].permute(1, 2, 0).numpy()
            result[top : top + SIZE, left : left + SIZE] = part
    return result


def relative_steps(image: Images, axis: int, lines: list[int], period: int) -> float:
    """Return the mean step across some lines, relative to the lines next to each inside a tile."""
    all_steps = steps(image, axis)
    ratios = []
    for line in lines:
        near = [line + period * offset for offset in (-2, -1, 1, 2)]
        inside = [all_steps[other] for other in near if 0 <= other < len(all_steps)]
        ratios.append(all_steps[line] / np.mean(inside))
    return float(np.mean(ratios))


def check_borders(image: Pixels, translate: Translate, period: int = 1) -> None:
    """Compare the steps across borders of tiles with those inside tiles.

    Args:
        period: a generator that upsamples by this factor has larger steps at every such line, with
            or without tiles. Borders are compared with these lines.
    """
    blended = translate_in_tiles(image, translate, size=SIZE, batch_size=8)
    assert blended.shape == image.shape
    assert blended.std() > 5
    tiles = side_by_side(image, translate)
    for axis in (0, 1):
        lines = borders(image.shape[axis], SIZE)
        assert relative_steps(blended, axis, lines, period) <= 1.03  # texture varies by 2%
        # Without blending, the same measure shows the borders.
        lines = [*range(SIZE - 1, tiles.shape[axis] - 1, SIZE)]
        assert relative_steps(tiles, axis, lines, period) > 1.08


@pytest.mark.parametrize(
    "shape", [(16, 16), (16, 17), (40, 23), (5, 30), (3, 3), (48, 64)], ids=str
)
def test_an_identity_gives_the_image_back(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    translated = translate_in_tiles(image, identity, size=16, batch_size=3)
    np.testing.assert_array_equal(translated, image)


def test_a_tile_may_change_the_number_of_channels() -> None:
    image = np.full((20, 20, 3), 7, dtype=np.uint8)
    translated = translate_in_tiles(
        image, lambda tiles: identity(tiles)[:, :1], size=16, batch_size=8
    )
    assert translated.shape == (20, 20, 1)


def test_borders_of_tiles_with_their_own_norm_are_no_larger_than_steps_inside() -> None:
    check_borders(picture(580, 700), contrast)


@pytest.mark.slow
@pytest.mark.parametrize(
    "generator",
    [
        {"name": "resnet", "width": 8, "blocks": 2},
        {"name": "unshuffle", "width": 8, "blocks": 2},
    ],
    ids=str,
)
def test_borders_in_a_translated_photograph_are_no_larger_than_steps_inside_tiles(
    generator: dict[str, object],
) -> None:
    export = random_export(generator=generator, size=SIZE, classifier="resnet18")
    translate = Translator(export, "source_to_target").translate_tiles
    check_borders(picture(1100, 1500), translate, period=4)


def test_memory_depends_on_the_tile_and_the_width_and_not_on_the_height() -> None:
    def peak(height: int) -> int:
        image = np.zeros((height, 256, 3), dtype=np.uint8)
        tracemalloc.start()
        translate_in_tiles(image, identity, size=32, batch_size=4)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most - 2 * image.nbytes  # the translation, whole and in parts

    assert peak(4096) < peak(256) + 300_000
