from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from support.domains import load, write_list

from adaptune.data.domain import LoadRequest, RawDomain
from adaptune.data.image_files import ImageFiles
from adaptune.data.imagelist import imagelist
from adaptune.errors import DataError


def loaded(name: str) -> RawDomain:
    path = Path(name.partition(":")[2])
    return imagelist(LoadRequest(Path("unused"), path, 0, slice(None)))


def refused(folder: Path, content: str, *images: str) -> str:
    with pytest.raises(DataError) as caught:
        loaded(write_list(folder, content, *images))
    return str(caught.value).replace(str(folder), "ROOT")


def test_images_are_read_in_the_order_of_the_list(tmp_path: Path) -> None:
    content = "b.png dog\na.png cat\nc d.png dog\n"
    domain = load(write_list(tmp_path, content, "a.png", "b.png", "c d.png"), size=16)
    assert domain.class_names == ("cat", "dog")
    assert domain.labels.tolist() == [1, 0, 1]
    assert domain.images[:, 0, 0, 0].tolist() == [1, 0, 2]


def test_integer_labels_are_ordered_as_numbers(tmp_path: Path) -> None:
    content = "path,label\na.png,10\nb.png,2.0\nc.png,02\nd.png,\n"
    domain = loaded(write_list(tmp_path, content, "a.png", "b.png", "c.png", "d.png"))
    assert domain.class_names == ("2", "10")
    assert domain.labels.tolist() == [1, 0, 0, -1]


def test_labels_are_names_if_one_of_them_is_no_integer(tmp_path: Path) -> None:
    domain = loaded(write_list(tmp_path, "a.png 10\nb.png 2\nc.png x\n", "a.png", "b.png", "c.png"))
    assert domain.class_names == ("10", "2", "x")


def test_a_list_without_labels_is_an_unlabelled_domain(tmp_path: Path) -> None:
    domain = loaded(write_list(tmp_path, "a.png\nb.png\n", "a.png", "b.png"))
    assert domain.class_names == ()
    assert domain.labels.tolist() == [-1, -1]


def test_paths_may_be_relative_to_a_folder_above_the_list(tmp_path: Path) -> None:
    write_list(tmp_path, "", "Art/Mug/1.png", "Art/Pen/1.png")
    content = "Art/Mug/1.png 0\n./Art/Pen/1.png 1\n"
    domain = loaded(write_list(tmp_path / "image_list", content, name="Art.txt"))
    images = ImageFiles((f"{tmp_path}/Art/Mug/1.png", f"{tmp_path}/Art/Pen/1.png"))
    assert domain.images == images


def test_paths_may_be_absolute(tmp_path: Path) -> None:
    write_list(tmp_path / "images", "", "1.png", "2.png")
    content = f"{tmp_path}/images/1.png 0\n{tmp_path}/images/2.png 1\n"
    assert loaded(write_list(tmp_path / "lists", content)).labels.tolist() == [0, 1]


def test_the_first_image_that_does_not_exist_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path, "x/1.png 0\n", "1.png").startswith(
        "imagelist: ROOT/list.txt, line 1: no file x/1.png in ROOT and the folders above it"
    )
    assert refused(tmp_path, "1.png 0\n2.png 1\n3.png 1\n", "1.png") == (
        "imagelist: ROOT/list.txt names 2 of 3 files that do not exist; the first, in line 2, is"
        " ROOT/2.png"
    )


def test_a_list_with_the_paths_of_another_machine_is_refused_with_the_remedy(
    tmp_path: Path,
) -> None:
    message = refused(tmp_path, "/Checkpoint/office_home/Art/Mug/1.jpg 0\n", "Art/Mug/1.jpg")
    assert "no file /Checkpoint/office_home/Art/Mug/1.jpg; if the list is from another" in message


def test_a_list_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    message = refused(
        tmp_path, "train/n1/1.png 0\ntrain/n1/2.png 0\ntrain/n", "train/n1/1.png", "train/n1/2.png"
    )
    assert message.endswith("the first, in line 3, is ROOT/train/n")


def test_an_image_with_two_labels_is_refused_with_both_lines(tmp_path: Path) -> None:
    message = refused(tmp_path, "a.png 0\nb.png 1\n./a.png 1\n", "a.png", "b.png")
    assert message.endswith("gives ./a.png two labels: '0' in line 1 and '1' in line 3")


def test_an_image_that_is_listed_twice_is_used_once(tmp_path: Path) -> None:
    name = write_list(tmp_path, "a.png 0\nb.png 1\n./a.png 0\n", "a.png", "b.png")
    domain = load(name)
    assert domain.labels.tolist() == [0, 1]
    assert domain.notes == (f"{name}: 1 line(s) repeat an earlier one and are not used",)


def test_the_source_of_images_can_be_sent_to_other_processes(tmp_path: Path) -> None:
    domain = loaded(write_list(tmp_path, "a.png 0\nb.png 1\n", "a.png", "b.png"))
    assert pickle.loads(pickle.dumps(domain.images)) == domain.images
