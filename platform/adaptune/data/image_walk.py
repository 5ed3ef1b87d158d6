"""The image files below a folder: one rule for domains and for `adaptune predict`."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from adaptune.data.preprocessing import accepted_suffixes
from adaptune.errors import DataError

# Entries that operating systems, archives and network storage add, compared without case.
# Hidden entries, such as .DS_Store and .ipynb_checkpoints, are skipped by their dot.
_SYSTEM_NAMES = frozenset(
    {
        "$recycle.bin",
        "#recycle",
        "#snapshot",
        "@eadir",
        "__macosx",
        "__pycache__",
        "desktop.ini",
        "ehthumbs.db",
        "icon\r",
        "lost+found",
        "recycler",
        "system volume information",
        "thumbs.db",
    }
)
# Device and inode: the same for a folder by whichever link it is reached.
Place = tuple[int, int]


@dataclass(frozen=True)
class FolderContents:
    """The files in or below a folder, without hidden and system entries.

    Attributes:
        images: paths of the image files, sorted by their parts.
        passed_over: number of other files, by their suffix in lower case or by their kind.
        folders: paths of the folders directly in it, sorted.
    """

    images: list[str] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)
    folders: list[str] = field(default_factory=list)


def list_folder(folder: str | Path) -> FolderContents:
    """Return the files and folders directly in a folder.

    Raises:
        DataError: the folder cannot be read.
    """
    contents = FolderContents()
    for entry in _visible_entries(str(folder)):
        if _is_folder(entry):
            contents.folders.append(entry.path)
        else:
            _add_file(entry, contents)
    return contents


def walk_images(folder: str | Path, entered: dict[Place, str] | None = None) -> FolderContents:
    """Return the files at any depth below a folder; its `folders` remain empty.

    Links are followed. A folder is entered once, and never by a link from below itself.

    Args:
        entered: the folders that earlier walks have entered, and from where. This walk adds its
            own.

    Raises:
        DataError: a folder cannot be read, or an earlier walk has entered it.
    """
    start = str(folder)
    contents = FolderContents()
    _Walk(start, {} if entered is None else entered, contents).enter(start)
    return contents


def describe_passed_over(counts: Counter[str]) -> str:
    """Return counts of files in words, most frequent first: `12 files (10 .txt, 2 .xml)`."""
    total = sum(counts.values())
    noun = "file" if total == 1 else "files"
    kinds = [f"{count:,} {kind}" for kind, count in counts.most_common()]
    return f"{total:,} {noun} ({', '.join(kinds)})"


class _Walk:
    """A walk from one folder."""

    def __init__(self, start: str, entered: dict[Place, str], contents: FolderContents) -> None:
        self._start = start
        self._entered = entered
        self._contents = contents
        # A link to one of them would lead to the start again, and to everything next to it.
        self._around = _places_around(start)

    def enter(self, folder: str) -> None:
        place = _place(folder)
        if place in self._around:
            return
        if place in self._entered:
            self._refuse_second_class(folder, self._entered[place])
            return
        self._entered[place] = self._start
        for entry in _visible_entries(folder):
            if _is_folder(entry):
                self.enter(entry.path)
            else:
                _add_file(entry, self._contents)

    def _refuse_second_class(self, folder: str, earlier: str) -> None:
        """Raise a DataError if another walk has entered the folder."""
        if earlier != self._start:
            raise DataError(
                f"the images of {folder} are also below {earlier}, by a link: they would have two"
                " classes; remove the link"
            )


def _visible_entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            visible = [entry for entry in entries if not _is_hidden(entry.name)]
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}") from error
    return sorted(visible, key=lambda entry: entry.name)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.casefold() in _SYSTEM_NAMES


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links that form a circle
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _add_file(entry: os.DirEntry[str], contents: FolderContents) -> None:
    suffix = os.path.splitext(entry.name)[1].lower()
    if not _is_file(entry):
        kind = "broken links" if entry.is_symlink() else "pipes or devices"
        contents.passed_over[kind] += 1
    elif suffix in accepted_suffixes():
        contents.images.append(entry.path)
    else:
        contents.passed_over[suffix or "without a suffix"] += 1


def _places_around(folder: str) -> set[Place]:
    """Return the places of all folders that contain a folder, as it is named and by its links."""
    named = Path(os.path.abspath(folder))
    real = Path(os.path.realpath(folder))
    return {_place(str(parent)) for parent in (*named.parents, *real.parents)}


def _place(folder: str) -> Place:
    try:
        status = os.stat(folder)
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}") from error
    return status.st_dev, status.st_ino
