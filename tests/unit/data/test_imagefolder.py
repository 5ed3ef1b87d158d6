from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.domains import load, png, write_folder

from adaptune.errors import DataError


def test_imagefolder_takes_sorted_subfolders_as_classes(tmp_path: Path) -> None:
    name = write_folder(tmp_path, {"dog": 1, "cat": 2})
    (tmp_path / "cat" / "notes.txt").write_text("not an image")
    (tmp_path / "cat" / ".1.png").write_bytes(b"a hidden file")
    (tmp_path / ".hidden").mkdir()
    domain = load(name)
    assert domain.class_names == ("cat", "dog")
    assert domain.labels.tolist() == [0, 0, 1]
    assert domain.images[:, 0, 0, 0].tolist() == [10, 11, 0]


def test_imagefolder_takes_images_of_any_size_and_mode(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for number, mode in enumerate(["L", "RGB", "RGBA", "P", "1", "LA"]):
        (tmp_path / "a" / f"{mode}.png").write_bytes(png(0, (20 + number, 30), mode))
    domain = load(f"imagefolder:{tmp_path}", size=16)
    assert domain.images.shape == (6, 3, 16, 16)


def test_imagefolder_names_the_image_that_cannot_be_read(tmp_path: Path) -> None:
    name = write_folder(tmp_path, {"cat": 3})
    (tmp_path / "cat" / "1.png").write_bytes(png(3)[:40])
    with pytest.raises(DataError, match=r"cat/1\.png cannot be read as an image"):
        load(name)


def test_an_image_of_floating_point_numbers_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    Image.fromarray(np.full((16, 16), 0.5, np.float32)).save(tmp_path / "a" / "deep.tif")
    with pytest.raises(DataError, match=r"deep\.tif cannot be read.*floating-point"):
        load(f"imagefolder:{tmp_path}")


def test_imagefolder_refuses_missing_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        load(f"imagefolder:{tmp_path / 'missing'}")
    with pytest.raises(DataError, match="has no class folders"):
        load(f"imagefolder:{tmp_path}")
    (tmp_path / "cat").mkdir()
    with pytest.raises(DataError, match=r"no image in .*cat"):
        load(f"imagefolder:{tmp_path}")


def test_pipes_folders_and_broken_links_of_an_images_name_are_passed_over(tmp_path: Path) -> None:
    name = write_folder(tmp_path, {"cat": 1})
    folder = tmp_path / "cat"
    os.mkfifo(folder / "pipe.png")
    (folder / "folder.png").mkdir()
    (folder / "zero.png").symlink_to("/dev/zero")
    (folder / "broken.png").symlink_to(folder / "missing.png")
    (folder / "circle.png").symlink_to(folder / "circle.png")
    assert load(name).labels.tolist() == [0]


def test_a_folder_that_cannot_be_listed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = write_folder(tmp_path, {"cat": 1})

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DataError, match=r"imagefolder: .* cannot be read: .*Permission denied"):
        load(name)
