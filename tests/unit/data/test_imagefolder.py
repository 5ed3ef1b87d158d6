from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.domains import load, png, touch, write_folder

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


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"there is no folder {tmp_path / 'missing'}"):
        load(f"imagefolder:{tmp_path / 'missing'}")


def test_a_file_in_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "list.txt").touch()
    with pytest.raises(DataError, match=rf"is a file.* is imagelist:{tmp_path}/list\.txt"):
        load(f"imagefolder:{tmp_path}/list.txt")


def test_a_folder_without_any_image_is_refused_with_what_it_contains(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"there is no image in {tmp_path}\. Images belong in"):
        load(f"imagefolder:{tmp_path}")
    touch(tmp_path, "cat/1.psd", "dog/readme.txt", "data/0.parquet")
    with pytest.raises(DataError) as caught:
        load(f"imagefolder:{tmp_path}")
    assert "and its 3 folder(s), only 3 files (1 .psd, 1 .parquet, 1 .txt)" in str(caught.value)
    assert f"Parquet files are parquet:{tmp_path}" in str(caught.value)


def test_a_flat_folder_is_an_unlabelled_domain(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.png"):
        (tmp_path / name).write_bytes(png(ord(name[0])))
    touch(tmp_path, "metadata/a.xml", "licence.txt")
    domain = load(f"imagefolder:{tmp_path}", size=16)
    assert domain.labels.tolist() == [-1, -1]
    assert domain.class_names == ()
    assert domain.images[:, 0, 0, 0].tolist() == [ord("a"), ord("b")]
    assert domain.notes == (f"imagefolder:{tmp_path}: 2 files (1 .txt, 1 .xml) passed over",)


def test_images_beside_the_class_folders_are_refused_and_listed(tmp_path: Path) -> None:
    name = write_folder(tmp_path, {"cat": 1, "dog": 1})
    touch(tmp_path, *(f"loose{number}.jpg" for number in range(4)))
    with pytest.raises(DataError) as caught:
        load(name)
    assert str(caught.value).startswith(
        f"imagefolder: {tmp_path} has 4 image(s) beside its class folders"
        " (loose0.jpg, loose1.jpg, loose2.jpg, …): move them"
    )


def test_no_image_of_a_nested_class_folder_is_lost(tmp_path: Path) -> None:
    name = write_folder(tmp_path, {"cat": 1, "dog": 1})
    for number in range(7):
        folder = tmp_path / "cat" / f"part{number}" / "deeper"
        folder.mkdir(parents=True)
        (folder / "1.png").write_bytes(png(number))
    assert load(name).labels.tolist() == [0] * 8 + [1]


def test_a_class_folder_may_be_a_link(tmp_path: Path) -> None:
    write_folder(tmp_path / "elsewhere", {"cat": 2})
    name = write_folder(tmp_path / "domain", {"dog": 1})
    (tmp_path / "domain" / "cat").symlink_to(tmp_path / "elsewhere" / "cat")
    domain = load(name)
    assert domain.class_names == ("cat", "dog")
    assert domain.labels.tolist() == [0, 0, 1]


def test_two_class_folders_that_lead_to_the_same_images_are_refused(tmp_path: Path) -> None:
    name = write_folder(tmp_path, {"cat": 1, "dog": 1})
    (tmp_path / "kitten").symlink_to(tmp_path / "cat")
    with pytest.raises(DataError, match=r"images of .*kitten are also below .*cat, by a link"):
        load(name)


def test_a_link_from_a_class_to_the_domain_brings_no_images_of_other_classes(
    tmp_path: Path,
) -> None:
    name = write_folder(tmp_path, {"cat": 1, "dog": 1})
    (tmp_path / "cat" / "all").symlink_to(tmp_path)
    assert load(name).labels.tolist() == [0, 1]


def test_a_single_class_can_be_loaded_for_an_evaluation(tmp_path: Path) -> None:
    assert load(write_folder(tmp_path, {"cat": 2})).class_names == ("cat",)


def test_pipes_folders_and_broken_links_of_an_images_name_are_passed_over(tmp_path: Path) -> None:
    name = write_folder(tmp_path, {"cat": 1})
    folder = tmp_path / "cat"
    os.mkfifo(folder / "pipe.png")
    (folder / "folder.png").mkdir()
    (folder / "zero.png").symlink_to("/dev/zero")
    (folder / "broken.png").symlink_to(folder / "missing.png")
    (folder / "circle.png").symlink_to(folder / "circle.png")
    assert load(name).labels.tolist() == [0]
