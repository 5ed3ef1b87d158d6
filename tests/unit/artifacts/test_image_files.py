"""Files and folders become batches of images, and of network outputs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from adaptune.artifacts.image_files import apply_to_files, image_files
from adaptune.artifacts.load import Export
from adaptune.data.preprocessing import decode
from adaptune.errors import DataError

Save = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a.JPG", "deep/c.webp", ".hidden.png", ".cache/d.png", "notes.txt"):
        file = tmp_path / "images" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (tmp_path / "images" / "folder.png").mkdir()
    return tmp_path / "images"


def test_a_folder_stands_for_its_visible_images_at_any_depth(folder: Path) -> None:
    assert image_files([folder]) == [folder / "a.JPG", folder / "b.png", folder / "deep/c.webp"]


def test_linked_folders_are_searched_and_system_folders_are_not(
    folder: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere" / "e.png"
    elsewhere.parent.mkdir()
    elsewhere.touch()
    (folder / "linked").symlink_to(elsewhere.parent)
    (folder / "up").symlink_to(tmp_path)
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / "f.png").touch()
    names = ["a.JPG", "b.png", "deep/c.webp", "linked/e.png"]
    assert image_files(folder) == [folder / name for name in names]


def test_a_file_is_taken_as_it_is_in_the_order_given(folder: Path) -> None:
    files = [folder / "notes.txt", folder / ".hidden.png", folder / "a.JPG"]
    assert image_files(files) == files


def test_paths_may_be_text(folder: Path) -> None:
    assert image_files([str(folder / "b.png")]) == [folder / "b.png"]


@pytest.mark.parametrize("kind", [str, Path])
def test_a_single_path_is_not_taken_for_a_sequence(
    folder: Path, kind: Callable[[Path], Path | str]
) -> None:
    assert image_files(kind(folder / "b.png")) == [folder / "b.png"]


def test_a_folder_below_a_hidden_one_is_searched_if_it_is_named(folder: Path) -> None:
    assert image_files([folder / ".cache"]) == [folder / ".cache" / "d.png"]


def test_a_missing_path_is_named(folder: Path) -> None:
    with pytest.raises(DataError, match=r"there is no image or folder .*absent\.png"):
        image_files([folder, folder / "absent.png"])


def test_a_pipe_is_refused_and_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")
    with pytest.raises(DataError, match=r"pipe\.png is neither a file nor a folder"):
        image_files([folder / "pipe.png"])
    assert folder / "pipe.png" not in image_files([folder])


def test_a_folder_without_images_is_named_with_the_supported_suffixes(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match=rf"no image in {tmp_path} \(.*\.bmp, .*\.webp\)"):
        image_files([tmp_path])


def test_networks_are_applied_to_batches_of_at_most_the_given_size(
    export: Export, image: Save, tmp_path: Path
) -> None:
    files = [image(tmp_path / f"{seed}.png", seed) for seed in range(3)]
    batches = list(apply_to_files(nn.Identity(), files, export=export, role="source", batch_size=2))
    assert [list(batch_files) for batch_files, _ in batches] == [files[:2], files[2:]]
    assert [outputs.shape[0] for _, outputs in batches] == [2, 1]
    pixels = [decode(file, file.name) for file in files]
    expected = export.transform(pixels, "source")
    torch.testing.assert_close(torch.cat([outputs for _, outputs in batches]), expected)


def test_no_file_gives_no_batch(export: Export) -> None:
    assert not list(apply_to_files(nn.Identity(), [], export=export, role="source", batch_size=2))


def test_gradients_are_disabled_in_the_network_but_not_in_the_code_of_the_caller(
    export: Export, image: Save, tmp_path: Path
) -> None:
    network = nn.Conv2d(3, 1, kernel_size=1)
    batches = apply_to_files(
        network, [image(tmp_path / "a.png")], export=export, role="target", batch_size=1
    )
    for _, outputs in batches:
        assert not outputs.requires_grad
        assert torch.is_grad_enabled()


def test_images_are_read_only_when_their_batch_is_due(
    export: Export, image: Save, tmp_path: Path
) -> None:
    files = [image(tmp_path / "a.png"), tmp_path / "broken.png"]
    files[1].write_bytes(b"not a png")
    batches = apply_to_files(nn.Identity(), files, export=export, role="target", batch_size=1)
    assert next(batches)[0] == files[:1]
    with pytest.raises(DataError, match=r"broken\.png cannot be read as an image"):
        next(batches)
