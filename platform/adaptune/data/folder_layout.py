"""Checks that the folders of a domain are its classes, and not its splits or domains."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from adaptune.data.image_walk import FolderContents, describe_passed_over
from adaptune.data.preprocessing import accepted_suffixes
from adaptune.errors import DataError

# With an ending such as in trainA (CycleGAN), val2017 (COCO) or images_1.
_SPLIT_NAME = re.compile(
    r"(train|training|trainval|val|valid|validation|dev|devel|test|testing|eval"
    r"|images?|imgs?|jpegimages|labels?|annotations?|masks?)([-_ ]?(a|b|\d+))?",
    re.IGNORECASE,
)
_PREFERRED = (re.compile("train", re.IGNORECASE), re.compile("ima?ge?s?|jpeg", re.IGNORECASE))


def check_layout(path: Path, classes: Mapping[str, FolderContents]) -> None:
    """Check that the folders in `path` can be classes.

    Args:
        path: folder of the domain.
        classes: contents of each folder in it, by its name; one of them has an image.

    Raises:
        DataError: the folders are splits, a single folder contains the class folders, or a folder
            has no image. The message names the folder to give instead.
    """
    splits = [name for name in classes if _SPLIT_NAME.fullmatch(name)]
    if 2 * len(splits) > len(classes):
        _refuse_splits(path, splits, classes)
    if len(classes) == 1:
        [contents] = classes.values()
        _check_single_folder(path, contents)
    _check_no_class_is_empty(path, classes)


def layout_notes(path: Path, classes: Mapping[str, FolderContents]) -> tuple[str, ...]:
    """Return a note if the classes may be the subfolders instead, and otherwise nothing.

    That is likely if no folder contains images directly and all have the same subfolders, as a
    folder of several domains has.
    """
    common: set[str] | None = None
    for name, contents in classes.items():
        subfolders = _subfolders(os.path.join(path, name), contents)
        if "." in subfolders:
            return ()
        common = subfolders if common is None else common & subfolders
    names = sorted(common or ())
    if len(names) < 2 or any(map(_SPLIT_NAME.fullmatch, names)):
        return ()
    first = next(iter(classes))
    return (
        f"imagefolder:{path}: the classes are {_listed(classes)}, and each of them has the"
        f" subfolders {_listed(names)}; if those are the classes, give imagefolder:{path}/{first}",
    )


def _refuse_splits(path: Path, splits: list[str], classes: Mapping[str, FolderContents]) -> None:
    """Raise a DataError that names the split to give instead."""
    with_images = [name for name in splits if classes[name].images]
    candidates = with_images
    for pattern in _PREFERRED:
        preferred = [name for name in with_images if pattern.match(name)]
        if preferred:
            candidates = preferred
            break
    domains = " or ".join(f"imagefolder:{path}/{name}" for name in candidates[:2])
    raise DataError(
        f"imagefolder: the folders {_listed(classes)} in {path} are parts of a data set, not"
        f" classes: give {domains}, or rename the folders if they are classes"
    )


def _check_single_folder(path: Path, contents: FolderContents) -> None:
    """Refuse a single folder that contains the class folders."""
    inner = os.path.commonpath([os.path.dirname(image) for image in contents.images])
    if "." in _subfolders(inner, contents):
        return
    raise DataError(
        f"imagefolder: {path} contains nothing but {inner}, which contains the class folders:"
        f" give imagefolder:{inner}"
    )


def _check_no_class_is_empty(path: Path, classes: Mapping[str, FolderContents]) -> None:
    empty = []
    for name, contents in classes.items():
        if contents.images:
            continue
        others = describe_passed_over(contents.passed_over) if contents.passed_over else "empty"
        empty.append(f"{path / name}: {others}")
    if empty:
        suffixes = ", ".join(sorted(accepted_suffixes()))
        raise DataError(
            "imagefolder: class folders without an image, which must be filled or removed:\n  "
            + "\n  ".join(empty)
            + f"\nImages are files that end with {suffixes}"
        )


def _subfolders(folder: str, contents: FolderContents) -> set[str]:
    """Return the names of the subfolders with images, and "." for images directly in the folder."""
    parents = {os.path.dirname(image) for image in contents.images}
    return {os.path.relpath(parent, folder).partition(os.sep)[0] for parent in parents}


def _listed(names: Mapping[str, object] | list[str]) -> str:
    """Return the first names, separated by commas."""
    first = list(names)[:5]
    if len(names) > len(first):
        first.append("…")
    return ", ".join(first)
