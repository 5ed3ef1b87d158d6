from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from support.domains import touch

from adaptune.data.image_walk import describe_passed_over, list_folder, walk_images
from adaptune.errors import DataError


def walked(folder: Path) -> list[str]:
    """Return the images below a folder, relative to it."""
    return [os.path.relpath(image, folder) for image in walk_images(folder).images]


def test_images_at_any_depth_are_found_in_the_order_of_their_paths(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.png", "b/1.png", "a.png", "b/deep/er/0.png", "c.png", "b.png")
    assert walked(tmp_path) == ["a.png", "b/1.png", "b/2.png", "b/deep/er/0.png", "b.png", "c.png"]


def test_suffixes_of_any_case_and_of_the_cameras_are_images(tmp_path: Path) -> None:
    names = ["1.JPEG", "2.Jpg", "3.jfif", "4.TIF", "5.WebP", "6.PNG"]
    touch(tmp_path, *names)
    assert walked(tmp_path) == names


def test_other_files_are_counted_by_their_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "1.png", "a.XML", "deep/b.xml", "README", "c.pdf")
    contents = walk_images(tmp_path)
    assert contents.passed_over == Counter({".xml": 2, "without a suffix": 1, ".pdf": 1})
    words = describe_passed_over(contents.passed_over)
    assert words == "4 files (2 .xml, 1 without a suffix, 1 .pdf)"
    assert describe_passed_over(Counter({".txt": 1})) == "1 file (1 .txt)"


def test_entries_of_systems_and_hidden_ones_are_skipped_and_not_counted(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "1.png",
        ".DS_Store",
        "._1.png",
        ".ipynb_checkpoints/1-checkpoint.png",
        "__MACOSX/._1.png",
        "__MACOSX/1.png",
        "@eaDir/1.png/SYNOPHOTO_THUMB_S.jpg",
        "$RECYCLE.BIN/1.png",
        "System Volume Information/1.png",
        "lost+found/1.png",
        "Thumbs.db",
        "desktop.ini",
        "Icon\r",
    )
    contents = walk_images(tmp_path)
    assert contents.images == [f"{tmp_path}/1.png"]
    assert not contents.passed_over
    assert not list_folder(tmp_path).folders


def test_links_to_files_and_folders_are_followed(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/1.png", "folder/2.png")
    (tmp_path / "folder" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "folder" / "3.png").symlink_to(tmp_path / "elsewhere" / "1.png")
    assert walked(tmp_path / "folder") == ["2.png", "3.png", "linked/1.png"]


def test_links_that_form_circles_end(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "further up").symlink_to(tmp_path.parent)
    (tmp_path / "a" / "itself.png").symlink_to(tmp_path / "a" / "itself.png")
    assert walked(tmp_path / "a") == ["1.png"]
    assert walked(tmp_path) == ["a/1.png", "b/2.png"]


def test_a_folder_that_two_links_reach_is_entered_once(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/1.png", "folder/2.png")
    (tmp_path / "folder" / "a").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "folder" / "b").symlink_to(tmp_path / "elsewhere")
    assert walked(tmp_path / "folder") == ["2.png", "a/1.png"]


def test_broken_links_as_git_annex_leaves_them_are_counted(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").symlink_to(".git/annex/objects/1.jpg")
    os.mkfifo(tmp_path / "pipe.png")
    assert walk_images(tmp_path).passed_over == Counter({"broken links": 1, "pipes or devices": 1})


def test_a_folder_that_cannot_be_listed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: str) -> None:
        raise PermissionError(13, "Permission denied", folder)

    monkeypatch.setattr(os, "scandir", refuse)
    for read in (walk_images, list_folder):
        with pytest.raises(DataError, match=rf"^{tmp_path} cannot be read: Permission denied$"):
            read(tmp_path)
    with pytest.raises(DataError, match="missing cannot be read: No such file"):
        walk_images(tmp_path / "missing")
