from __future__ import annotations

from pathlib import Path

import pytest

from adaptune.data.places import contains, is_same_place


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `images` with the file `a`, both with a link, in the working directory."""
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "a").touch()
    (tmp_path / "link").symlink_to(folder)
    (tmp_path / "hard").hardlink_to(folder / "a")
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.parametrize(
    "spelling", ["images", "images/.", "./images/", "images/../images", "link", "link/../link"]
)
def test_one_folder_has_many_spellings(folder: Path, spelling: str) -> None:
    assert is_same_place(folder, Path(spelling))
    assert is_same_place(Path(spelling), folder)


def test_a_file_has_the_place_of_its_hard_link(folder: Path) -> None:
    assert is_same_place(folder / "a", Path("hard"))


def test_different_and_missing_paths_are_different_places(folder: Path) -> None:
    assert not is_same_place(folder, folder / "a")
    assert not is_same_place(folder, Path("missing"))
    assert not is_same_place(Path("missing"), Path("absent"))
    assert is_same_place(Path("missing/a"), Path("missing/b/../a"))


def test_links_in_a_circle_are_a_place_of_their_own(folder: Path) -> None:
    circle = folder / "circle"
    circle.symlink_to(circle)
    assert not is_same_place(circle, folder)


def test_no_path_is_the_place_of_no_path_only(folder: Path) -> None:
    assert is_same_place(None, None)
    assert not is_same_place(None, folder)
    assert not contains(folder, None)
    assert not contains(None, folder)


def test_a_folder_contains_what_is_below_it_but_not_itself(folder: Path) -> None:
    assert contains(folder, Path("link/a"))
    assert contains(Path("link"), folder / "missing" / "b")
    assert not contains(folder, folder)
    assert not contains(folder / "a", folder)
    assert not contains(folder, folder.parent / "images2" / "a")
