from __future__ import annotations

from pathlib import Path

import pytest
from support.domains import touch

from adaptune.data.domain import LoadRequest, RawDomain
from adaptune.data.imagefolder import imagefolder
from adaptune.errors import DataError


def loaded(path: Path) -> RawDomain:
    return imagefolder(LoadRequest(Path("unused"), path, 0, slice(None)))


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        loaded(path)
    return str(caught.value).replace(str(path), "ROOT")


@pytest.mark.parametrize(
    ("folders", "remedy"),
    [
        (("test", "train", "val"), "ROOT/train"),
        (("Testing", "Training"), "ROOT/Training"),
        (("test", "valid"), "ROOT/test or imagefolder:ROOT/valid"),
        (("trainA", "trainB", "testA", "testB"), "ROOT/trainA or imagefolder:ROOT/trainB"),
        (("train2017", "val2017"), "ROOT/train2017"),
        (("labels", "images", "masks"), "ROOT/images"),
        (("train", "test", "extra"), "ROOT/train"),
    ],
)
def test_folders_of_splits_are_not_taken_for_classes(
    tmp_path: Path, folders: tuple[str, ...], remedy: str
) -> None:
    for folder in folders:
        touch(tmp_path, f"{folder}/cat/1.png", f"{folder}/dog/1.png")
    message = refused(tmp_path)
    assert "are parts of a data set, not classes" in message
    assert f"give imagefolder:{remedy}, or rename the folders" in message


def test_one_class_with_the_name_of_a_split_is_accepted(tmp_path: Path) -> None:
    touch(tmp_path, "test/1.png", "pen/1.png", "mug/1.png")
    assert loaded(tmp_path).class_names == ("mug", "pen", "test")


def test_splits_below_the_classes_are_taken_together(tmp_path: Path) -> None:
    touch(tmp_path, "cat/train/1.png", "cat/test/2.png", "dog/train/1.png", "dog/test/2.png")
    domain = loaded(tmp_path)
    assert domain.labels.tolist() == [0, 0, 1, 1]
    assert not domain.notes


def test_an_archive_unpacked_into_a_folder_of_its_name_is_recognised(tmp_path: Path) -> None:
    touch(tmp_path, "archive/pets/cat/1.png", "archive/pets/dog/1.png", "__MACOSX/archive/._1.png")
    assert refused(tmp_path) == (
        "imagefolder: ROOT contains nothing but ROOT/archive/pets, which contains the class"
        " folders: give imagefolder:ROOT/archive/pets"
    )


def test_class_folders_without_images_are_listed_with_what_they_contain(tmp_path: Path) -> None:
    touch(tmp_path, "cat/1.png", "dog/1.psd", "dog/2.psd")
    (tmp_path / "fox").mkdir()
    message = refused(tmp_path)
    assert "\n  ROOT/dog: 2 files (2 .psd)\n  ROOT/fox: empty\n" in message
    assert ".jfif" in message


def test_a_folder_of_several_domains_is_noted(tmp_path: Path) -> None:
    for domain in ("Art", "Clipart", "Real World"):
        touch(tmp_path, f"{domain}/Alarm_Clock/1.jpg", f"{domain}/Backpack/1.jpg")
    assert loaded(tmp_path).notes == (
        f"imagefolder:{tmp_path}: the classes are Art, Clipart, Real World, and each of them has"
        " the subfolders Alarm_Clock, Backpack; if those are the classes, give"
        f" imagefolder:{tmp_path}/Art",
    )


def test_classes_with_different_subfolders_are_not_noted(tmp_path: Path) -> None:
    touch(tmp_path, "cat/siamese/1.png", "cat/manx/1.png", "dog/poodle/1.png", "dog/2.png")
    assert not loaded(tmp_path).notes
