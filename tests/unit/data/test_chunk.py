from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adaptune.data.chunk import Chunk
from adaptune.data.identity import array_digests
from adaptune.data.image_files import ImageFiles
from adaptune.data.unreadable import UnreadableImagesError
from adaptune.spec.data import DomainSpec

FORM = DomainSpec.model_validate({"domain": "imagefolder:x", "size": 16, "channels": 3})
ROWS = np.arange(3)


@pytest.fixture
def chunk(tmp_path: Path) -> Chunk:
    """Three images of one grey each."""
    files = []
    for value in (10, 20, 30):
        files.append(str(tmp_path / f"{value}.png"))
        Image.fromarray(np.full((16, 16, 3), value, np.uint8)).save(files[-1])
    return Chunk(tmp_path / "cache" / "chunk.npy", ImageFiles(tuple(files)), FORM)


def greys(chunk: Chunk) -> list[int]:
    images = chunk.read(ROWS)
    assert images.shape == (3, 3, 16, 16)
    return [int(value) for value in images[:, 0, 0, 0]]


def test_a_chunk_holds_the_images_and_the_digests_of_both_forms(chunk: Chunk) -> None:
    assert chunk.write() == []
    assert greys(chunk) == [10, 20, 30]
    digests = chunk.digests()
    assert digests.shape == (3, 64)
    assert digests[1, 32:].tobytes() == array_digests(chunk.read(ROWS))[1]
    assert chunk.nbytes == 3 * 3 * 16**2


def test_a_chunk_that_exists_is_not_written_again(chunk: Chunk) -> None:
    chunk.write()
    written = chunk.file.stat().st_mtime_ns
    chunk.write()
    assert chunk.file.stat().st_mtime_ns == written


def test_to_prepare_writes_nothing(chunk: Chunk) -> None:
    prepared, digests, unreadable = chunk.prepare()
    assert [int(image[0, 0, 0]) for image in prepared] == [10, 20, 30]
    assert (len(digests), unreadable) == (3, [])
    assert not chunk.file.parent.exists()


def test_with_an_unreadable_image_nothing_is_written(chunk: Chunk, tmp_path: Path) -> None:
    (tmp_path / "20.png").write_bytes(b"no image")
    [unreadable] = chunk.write()
    assert "20.png" in unreadable.name
    assert not chunk.file.exists()
    with pytest.raises(UnreadableImagesError, match=r"20\.png"):
        chunk.read(ROWS)


def test_a_chunk_that_was_deleted_is_written_when_it_is_read(chunk: Chunk) -> None:
    chunk.write()
    chunk.file.unlink()
    assert greys(chunk) == [10, 20, 30]
