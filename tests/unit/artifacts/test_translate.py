"""Translations are PNGs that overwrite no input and no other translation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from adaptune.artifacts import Export, translate
from adaptune.artifacts.format import Direction, Role
from adaptune.data.preprocessing import decode, prepare
from adaptune.errors import DataError, ResultsError

Save = Callable[..., Path]


@pytest.mark.parametrize("direction", ["source_to_target", "target_to_source"])
def test_translate_writes_pngs_of_the_trained_size(
    export: Export, image: Save, tmp_path: Path, direction: Direction
) -> None:
    files = [image(tmp_path / name, seed) for seed, name in enumerate(["a.jpg", "b.png"])]
    counts: list[tuple[int, int]] = []

    def notify(done: int, total: int) -> None:
        counts.append((done, total))

    written = translate(export, files, tmp_path / "out", direction, batch_size=1, notify=notify)
    assert counts == [(1, 2), (2, 2)]
    assert written == [tmp_path / "out" / "a.png", tmp_path / "out" / "b.png"]
    assert {decode(file, file.name).shape for file in written} == {(16, 16, 3)}
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in written)


@pytest.mark.parametrize(
    ("direction", "role"), [("source_to_target", "source"), ("target_to_source", "target")]
)
def test_pngs_show_the_output_of_the_generator_of_the_direction(
    export: Export, image: Save, tmp_path: Path, direction: Direction, role: Role
) -> None:
    file = image(tmp_path / "a.png")
    (png,) = translate(export, [file], tmp_path / "out", direction)
    images = export.transform([decode(file, "image")], role)
    output = export.generators[direction](images)[0]
    expected = ((output + 1) * 127.5).round().permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(decode(png, "png"), expected)


class Constant(nn.Module):
    """Returns images of one grey value, of one channel."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, images: Tensor) -> Tensor:
        return torch.full_like(images[:, :1], self.value)


@pytest.mark.parametrize(
    ("value", "pixel"), [(-1.0, 0), (0.0, 128), (1.0, 255), (-1.5, 0), (1.5, 255)]
)
def test_one_channel_is_written_as_grey_and_values_are_clamped_to_8_bits(
    export: Export, image: Save, tmp_path: Path, value: float, pixel: int
) -> None:
    export.generators["source_to_target"] = Constant(value)
    (png,) = translate(export, [image(tmp_path / "a.png")], tmp_path / "out", "source_to_target")
    np.testing.assert_array_equal(decode(png, "png"), np.full((16, 16), pixel, dtype=np.uint8))


def test_images_of_five_channels_are_read_from_arrays_and_written_as_arrays(
    export: Export, tmp_path: Path
) -> None:
    source = export.config.data.source.model_copy(update={"channels": 5})
    data = export.config.data.model_copy(update={"source": source})
    five = replace(export, config=export.config.model_copy(update={"data": data}))
    five.generators["source_to_target"] = nn.Identity()
    pixels = np.random.default_rng(0).integers(0, 65536, (24, 24, 5)).astype(np.uint16)
    np.save(tmp_path / "a.npy", pixels)
    (written,) = translate(five, tmp_path, tmp_path / "out", "source_to_target")
    assert written == tmp_path / "out" / "a.npy"
    prepared = prepare([pixels], crop=24, size=16, channels=5)[0]
    np.testing.assert_array_equal(decode(written, "a"), prepared.transpose(1, 2, 0))


def test_translate_crops_as_the_domain_of_its_input(
    export: Export, image: Save, tmp_path: Path
) -> None:
    file = image(tmp_path / "a.png", edge=20)  # the source's crop is 24 px, the target's 12
    translate(export, [file], tmp_path / "out", "target_to_source")
    with pytest.raises(DataError, match="crop 24 px"):
        translate(export, [file], tmp_path / "out", "source_to_target")


def test_translate_overwrites_neither_of_two_inputs_of_one_name(
    export: Export, image: Save, tmp_path: Path
) -> None:
    files = [image(tmp_path / part / "a.png", seed) for seed, part in enumerate("xy")]
    files.append(image(tmp_path / "x" / "a-2.png", seed=2))
    written = translate(export, files, tmp_path / "out", "source_to_target")
    assert [file.name for file in written] == ["a.png", "a-2.png", "a-2-2.png"]
    assert len({file.read_bytes() for file in written}) == 3


def test_names_that_differ_in_case_only_get_different_pngs(
    export: Export, image: Save, tmp_path: Path
) -> None:
    files = [image(tmp_path / "x" / "a.png", seed=0), image(tmp_path / "y" / "A.png", seed=1)]
    written = translate(export, files, tmp_path / "out", "source_to_target")
    assert [file.name for file in written] == ["a.png", "A-2.png"]


def test_translate_into_the_folder_of_the_inputs_leaves_them_as_they_are(
    export: Export, image: Save, tmp_path: Path
) -> None:
    file = image(tmp_path / "a.png")
    before = file.read_bytes()
    assert translate(export, [file], tmp_path, "source_to_target") == [tmp_path / "a-2.png"]
    assert file.read_bytes() == before


def test_translate_overwrites_what_an_earlier_run_wrote(
    export: Export, image: Save, tmp_path: Path
) -> None:
    file = image(tmp_path / "a.png")
    (first,) = translate(export, [file], tmp_path / "out", "source_to_target")
    (second,) = translate(export, [file], tmp_path / "out", "source_to_target")
    assert first == second


def test_translate_accepts_paths_as_text(export: Export, image: Save, tmp_path: Path) -> None:
    file = image(tmp_path / "a.png")
    written = translate(export, [str(file)], str(tmp_path / "out"), "source_to_target")
    assert written == [tmp_path / "out" / "a.png"]
    assert written[0].exists()


def test_a_png_that_cannot_be_written_is_named(export: Export, image: Save, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file, not a folder")
    with pytest.raises(ResultsError, match=r"cannot write .*out/a\.png"):
        translate(export, [image(tmp_path / "a.png")], tmp_path / "out", "source_to_target")
