"""Loader of images in folders: one folder per class, or one folder of unlabelled images."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np

from adaptune.data.domain import UNLABELLED, LoadRequest, RawDomain
from adaptune.data.folder_layout import check_layout, layout_notes
from adaptune.data.image_files import ImageFiles
from adaptune.data.image_walk import (
    FolderContents,
    Place,
    describe_passed_over,
    list_folder,
    walk_images,
)
from adaptune.errors import DataError

_EXAMPLES = 3


def imagefolder(request: LoadRequest) -> RawDomain:
    """Load the images below `request.path`/CLASS/, with the folders' sorted names as classes.

    A folder that contains images directly, and none in its subfolders, is an unlabelled domain.
    Hidden and system entries are ignored. Other files than images are counted in a note.

    Raises:
        DataError: the folder does not exist or cannot be read, contains no image, has images both
            beside its class folders and in them, has a class folder without images, or has folders
            that are no classes. An unreadable image raises it when it is decoded.
    """
    path = request.path
    assert path is not None  # the registry entry requires a path
    _check_is_folder(path)
    top = list_folder(path)
    classes = _walk_classes(top)
    total = len(top.images) + sum(len(folder.images) for folder in classes.values())
    passed_over = sum((folder.passed_over for folder in classes.values()), top.passed_over)
    if not total:
        raise DataError(_no_image(path, classes, passed_over))
    notes = _passed_over_note(path, passed_over)
    if total == len(top.images):
        labels = np.full(total, UNLABELLED, dtype=np.int64)
        return RawDomain(ImageFiles(tuple(top.images), request.decoding), labels, (), notes=notes)
    if top.images:
        raise DataError(_loose_images(path, top.images))
    check_layout(path, classes)
    files: list[str] = []
    labels_by_class = []
    for label, folder in enumerate(classes.values()):
        files += folder.images
        labels_by_class.append(np.full(len(folder.images), label, dtype=np.int64))
    return RawDomain(
        images=ImageFiles(tuple(files), request.decoding),
        labels=np.concatenate(labels_by_class),
        class_names=tuple(classes),
        notes=(*notes, *layout_notes(path, classes)),
    )


def _check_is_folder(path: Path) -> None:
    # Unlike the methods of Path, these raise no error if a parent folder must not be entered.
    if os.path.isdir(path):
        return
    if os.path.isfile(path):
        raise DataError(
            f"imagefolder: {path} is a file, not a folder; a list of images is imagelist:{path}"
        )
    raise DataError(f"imagefolder: there is no folder {path}, or it may not be read")


def _walk_classes(top: FolderContents) -> dict[str, FolderContents]:
    """Return the contents of each folder in the top folder, by its name."""
    entered: dict[Place, str] = {}
    classes = {}
    for folder in top.folders:
        classes[os.path.basename(folder)] = walk_images(folder, entered)
    return classes


def _no_image(path: Path, classes: dict[str, FolderContents], passed_over: Counter[str]) -> str:
    message = f"imagefolder: there is no image in {path}"
    if classes:
        message += f" and its {len(classes)} folder(s)"
    if passed_over:
        message += f", only {describe_passed_over(passed_over)}"
    if ".parquet" in passed_over:
        message += f"; Parquet files are parquet:{path}"
    return f"{message}. Images belong in {path}/CLASS_NAME/, or unlabelled ones in {path} itself"


def _loose_images(path: Path, images: list[str]) -> str:
    names = [os.path.basename(image) for image in images[:_EXAMPLES]]
    if len(images) > _EXAMPLES:
        names.append("…")
    return (
        f"imagefolder: {path} has {len(images):,} image(s) beside its class folders"
        f" ({', '.join(names)}): move them into a class folder or elsewhere. If no image has a"
        " label, put all of them into one folder without subfolders"
    )


def _passed_over_note(path: Path, passed_over: Counter[str]) -> tuple[str, ...]:
    if not passed_over:
        return ()
    return (f"imagefolder:{path}: {describe_passed_over(passed_over)} passed over",)
