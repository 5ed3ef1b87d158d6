"""Files and folders become images, and bad ones are named."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from adaptune.artifacts.image_files import ImageFile, Paths, image_files, in_batches, read_images
from adaptune.data.preprocessing import decode
from adaptune.errors import DataError
from adaptune.spec.data import DomainSpec

Save = Callable[..., Path]
FORM = DomainSpec.model_validate({"domain": "imagefolder:x", "size": 16, "crop": 12})


def paths_of(paths: Paths) -> list[Path]:
    return [file.path for file in image_files(paths)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a.JPG", "deep/c.webp", ".hidden.png", ".cache/d.png", "notes.txt"):
        file = tmp_path / "images" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (tmp_path / "images" / "folder.png").mkdir()
    return tmp_path / "images"


def test_a_folder_stands_for_its_visible_images_at_any_depth(folder: Path) -> None:
    assert paths_of([folder]) == [folder / "a.JPG", folder / "b.png", folder / "deep/c.webp"]


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
    assert paths_of(folder) == [folder / name for name in names]


def test_a_file_is_taken_as_it_is_in_the_order_given(folder: Path) -> None:
    files = [folder / "notes.txt", folder / ".hidden.png", folder / "a.JPG"]
    assert paths_of(files) == files


def test_paths_may_be_text(folder: Path) -> None:
    assert paths_of([str(folder / "b.png")]) == [folder / "b.png"]


@pytest.mark.parametrize("kind", [str, Path])
def test_a_single_path_is_not_taken_for_a_sequence(
    folder: Path, kind: Callable[[Path], Path | str]
) -> None:
    assert paths_of(kind(folder / "b.png")) == [folder / "b.png"]


def test_a_folder_below_a_hidden_one_is_searched_if_it_is_named(folder: Path) -> None:
    assert paths_of([folder / ".cache"]) == [folder / ".cache" / "d.png"]


def test_a_missing_path_is_named(folder: Path) -> None:
    with pytest.raises(DataError, match=r"there is no image or folder .*absent\.png"):
        image_files([folder, folder / "absent.png"])


def test_a_pipe_is_refused_and_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")
    with pytest.raises(DataError, match=r"pipe\.png is neither a file nor a folder"):
        image_files([folder / "pipe.png"])
    assert folder / "pipe.png" not in paths_of([folder])


def test_a_folder_without_images_is_named_with_the_supported_suffixes(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match=rf"no image in {tmp_path} \(.*\.bmp, .*\.webp\)"):
        image_files([tmp_path])


def test_files_keep_their_path_within_the_folder_that_was_named(folder: Path) -> None:
    names = [file.name for file in image_files([folder, folder / "deep" / "c.webp"])]
    assert names == [Path("a.JPG"), Path("b.png"), Path("deep/c.webp"), Path("c.webp")]


def files_of(*paths: Path) -> list[ImageFile]:
    return [ImageFile(path, Path(path.name)) for path in paths]


def test_images_are_read_one_at_a_time_as_they_are_stored(image: Save, tmp_path: Path) -> None:
    good = image(tmp_path / "a.png")
    bad = tmp_path / "broken.png"
    bad.write_bytes(b"not a png")
    images = read_images(files_of(good, bad), FORM)
    file, pixels = next(images)
    assert file.path == good
    assert (pixels == decode(good, "a")).all()
    with pytest.raises(DataError, match=r"broken\.png cannot be read as an image"):
        next(images)


def test_grey_images_have_a_channel(tmp_path: Path) -> None:
    Image.new("L", (20, 16)).save(tmp_path / "grey.png")
    [(_, pixels)] = read_images(files_of(tmp_path / "grey.png"), FORM)
    assert pixels.shape == (16, 20, 1)


def test_bad_images_are_reported_and_passed_over(image: Save, tmp_path: Path) -> None:
    files = [image(tmp_path / f"{edge}.png", edge=edge) for edge in (8, 14)]
    (tmp_path / "broken.png").write_bytes(b"not a png")
    errors: list[DataError] = []
    read = list(read_images(files_of(tmp_path / "broken.png", *files), FORM, errors.append))
    assert [file.path for file, _ in read] == [files[1]]
    assert [str(error).partition(" ")[0] for error in errors] == [
        str(tmp_path / "broken.png"),
        f"{files[0]}:",  # smaller than the crop
    ]


def test_items_come_in_batches() -> None:
    assert list(in_batches(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert not list(in_batches([], 2))
