from __future__ import annotations

from pathlib import Path

import pytest

from adaptune.data.list_file import read_list
from adaptune.errors import DataError

Lines = list[tuple[int, str, str | None]]


def read(folder: Path, content: str | bytes, name: str = "list.txt") -> Lines:
    """Return the line, the path and the label of each image of a list."""
    encoded = content.encode() if isinstance(content, str) else content
    (folder / name).write_bytes(encoded)
    return [(image.line, image.path, image.label) for image in read_list(folder / name)]


def refused(folder: Path, content: str | bytes, name: str = "list.txt") -> str:
    with pytest.raises(DataError) as caught:
        read(folder, content, name)
    return str(caught.value).replace(str(folder), "ROOT")


def test_a_line_is_a_path_and_a_label_after_the_last_space(tmp_path: Path) -> None:
    content = "Real World/Alarm_Clock/00001.jpg 0\nReal World/a b.jpg   12\nc.png\tcoffee mug\n"
    assert read(tmp_path, content) == [
        (1, "Real World/Alarm_Clock/00001.jpg", "0"),
        (2, "Real World/a b.jpg", "12"),
        (3, "c.png", "coffee mug"),
    ]


def test_a_line_that_ends_like_an_image_has_no_label(tmp_path: Path) -> None:
    content = "photo 1.JPG\nphoto 2.jpg -1\nphoto 3.jpg 3\n"
    assert read(tmp_path, content) == [
        (1, "photo 1.JPG", None),
        (2, "photo 2.jpg", None),
        (3, "photo 3.jpg", "3"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lists_of_windows_editors_are_read(tmp_path: Path, encoding: str) -> None:
    content = "# images\r\n\r\nä\\1.jpg 0\r\n  \r\n./b/2.jpg 1 \r\n\r\n".encode(encoding)
    assert read(tmp_path, content) == [(3, "ä/1.jpg", "0"), (5, "./b/2.jpg", "1")]


def test_a_list_in_another_encoding_is_refused_with_the_line(tmp_path: Path) -> None:
    message = refused(tmp_path, "a.jpg 0\nä.jpg 1\n".encode("latin-1"))
    assert message == "imagelist: line 2 of ROOT/list.txt is not UTF-8: store the file as UTF-8"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_with_a_header_is_read_with_any_usual_delimiter(tmp_path: Path, delimiter: str) -> None:
    rows = [["ID", "Class", "Path"], ["7", "coffee mug", "a b.jpg"], ["8", "", "c.jpg"]]
    content = "\n".join(delimiter.join(row) for row in rows)
    assert read(tmp_path, content, "list.csv") == [
        (2, "a b.jpg", "coffee mug"),
        (3, "c.jpg", None),
    ]


def test_quoted_cells_may_contain_the_delimiter(tmp_path: Path) -> None:
    content = 'filename,label\n"a, b.jpg","mug, ""blue"""\n'
    assert read(tmp_path, content) == [(2, "a, b.jpg", 'mug, "blue"')]


def test_a_csv_of_one_column_is_unlabelled(tmp_path: Path) -> None:
    assert read(tmp_path, "image\na.jpg\n", "list.csv") == [(2, "a.jpg", None)]


def test_a_csv_whose_label_column_is_not_recognised_is_refused(tmp_path: Path) -> None:
    message = refused(tmp_path, "path,breed\na.jpg,poodle\n")
    assert "has the columns path, breed, but none for labels: name it label|class" in message


def test_a_csv_without_a_header_is_refused_with_the_columns(tmp_path: Path) -> None:
    message = refused(tmp_path, "a.jpg,3\n", "list.csv")
    assert message.startswith(
        "imagelist: the first line of ROOT/list.csv is 'a.jpg,3'; it must name a column path|image"
    )


def test_a_row_of_csv_without_a_path_is_refused_with_its_line(tmp_path: Path) -> None:
    assert refused(tmp_path, "path,label\na.jpg,0\n,1\n") == (
        "imagelist: line 3 of ROOT/list.txt has no path"
    )


@pytest.mark.parametrize("content", ["", "\n \n", "# nothing yet\n", "path,label\n"])
def test_a_list_without_images_is_refused(tmp_path: Path, content: str) -> None:
    assert "lists no image" in refused(tmp_path, content)


def test_a_list_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing\.txt cannot be read: No such file"):
        read_list(tmp_path / "missing.txt")
