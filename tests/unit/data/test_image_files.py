from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adaptune.data.domain import StoredImage
from adaptune.data.identity import image_digest
from adaptune.data.image_files import ImageFiles
from adaptune.errors import DataError


@pytest.fixture
def files(tmp_path: Path) -> ImageFiles:
    paths = []
    for value in range(3):
        path = tmp_path / f"{value}.png"
        Image.new("L", (4, 4), value).save(path)
        paths.append(str(path))
    return ImageFiles(tuple(paths))


def test_images_come_in_the_order_of_the_indices(files: ImageFiles) -> None:
    restored: ImageFiles = pickle.loads(pickle.dumps(files))
    assert len(restored) == 3
    images = list(restored.read(np.array([2, 0])))
    for image, value in zip(images, (2, 0), strict=True):
        assert isinstance(image, StoredImage)
        assert (image.pixels == value).all()
        assert image.digest == image_digest(Path(files.paths[value]).read_bytes())


def test_an_unreadable_file_does_not_end_the_reading(files: ImageFiles) -> None:
    Path(files.paths[1]).write_bytes(b"not an image")
    first, broken, last = files.read(np.arange(3))
    assert isinstance(first, StoredImage)
    assert isinstance(broken, DataError)
    assert files.paths[1] in str(broken)
    assert isinstance(last, StoredImage)


def test_a_stamp_changes_with_the_size_and_the_time_of_a_file(files: ImageFiles) -> None:
    before = files.stamps(np.arange(3))
    assert len(set(before)) == 3
    assert files.stamps(np.arange(3)) == before
    os.utime(files.paths[0], ns=(1, 1))
    with Path(files.paths[1]).open("ab") as file:
        file.write(b"more")
    after = files.stamps(np.arange(3))
    changed = [new != old for new, old in zip(after, before, strict=True)]
    assert changed == [True, True, False]


def test_a_file_that_is_gone_has_no_stamp(files: ImageFiles) -> None:
    Path(files.paths[1]).unlink()
    with pytest.raises(DataError, match=r"1\.png cannot be read: No such file"):
        files.stamps(np.arange(3))
