from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from support.domains import write_folder

from adaptune.data.device_images import DeviceImages, to_float
from adaptune.data.image_files import ImageFiles
from adaptune.data.image_set import in_memory
from adaptune.data.store import StoredImages, open_store, prepare_missing
from adaptune.spec.data import DomainSpec

IMAGES = np.arange(2 * 3 * 4 * 4, dtype=np.uint8).reshape(2, 3, 4, 4)
LABELS = np.array([4, 9], dtype=np.int64)


def test_bytes_become_floats_from_minus_one_to_one() -> None:
    floats = to_float(torch.tensor([0, 255], dtype=torch.uint8))
    assert floats.dtype == torch.float32
    assert floats.tolist() == [-1.0, 1.0]


def test_taking_gives_the_asked_images_and_labels() -> None:
    data = DeviceImages(in_memory(IMAGES), LABELS, "cpu")
    indices = torch.tensor([1, 0, 1])
    assert torch.equal(data.take(indices), to_float(torch.tensor(IMAGES))[indices])
    assert data.labels_of(indices).tolist() == [9, 4, 9]
    assert len(data) == 2


def test_read_only_arrays_are_shared_without_a_warning_or_a_change() -> None:
    images = IMAGES.copy()
    images.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = DeviceImages(in_memory(images), None, torch.device("cpu"))
    assert data._stored is not None
    assert data._stored.data_ptr() == images.ctypes.data
    data.take(torch.tensor([0])).zero_()
    assert np.array_equal(images, IMAGES)


def test_labels_that_are_not_there_cannot_be_asked_for() -> None:
    data = DeviceImages(in_memory(IMAGES), None, "cpu")
    with pytest.raises(ValueError, match="no labels"):
        data.labels_of(torch.tensor([0]))
    with pytest.raises(ValueError, match="no labels"):
        _ = data.labels


def test_images_and_labels_are_on_the_device_that_was_given() -> None:
    data = DeviceImages(in_memory(IMAGES), LABELS, "meta")
    assert data.device == data.labels.device == torch.device("meta")
    assert data.take(torch.tensor([1], device="meta")).shape == (1, 3, 4, 4)


@pytest.fixture
def on_disk(tmp_path: Path) -> StoredImages:
    """Images of one value each, from 0."""
    write_folder(tmp_path / "images", {"a": 9})
    files = sorted(map(str, (tmp_path / "images" / "a").iterdir()))
    form = DomainSpec.model_validate({"domain": "imagefolder:a", "size": 16})
    images = open_store(tmp_path / "cache", ImageFiles(tuple(files)), form)
    prepare_missing(images, workers=1)
    return images


def test_images_on_disk_are_those_in_memory(on_disk: StoredImages) -> None:
    pixels = on_disk.take(np.arange(9))
    stored = DeviceImages(on_disk, None, "cpu")
    in_ram = DeviceImages(in_memory(pixels), None, "cpu")
    indices = torch.tensor([8, 0, 3, 3])
    assert torch.equal(stored.take(indices), in_ram.take(indices))
    assert len(stored) == 9


def test_a_batch_that_is_expected_is_the_one_that_is_taken(on_disk: StoredImages) -> None:
    images = DeviceImages(on_disk, None, "cpu")
    direct = DeviceImages(on_disk, None, "cpu")
    for step in range(5):
        for ahead in (step, step + 1, step + 2):
            images.expect(torch.tensor([ahead, 8 - ahead]))
        indices = torch.tensor([step, 8 - step])
        assert torch.equal(images.take(indices), direct.take(indices))


def test_resident_images_are_copied_to_another_device(on_disk: StoredImages) -> None:
    images = DeviceImages(on_disk, None, "meta")
    assert images.take(torch.tensor([1], device="meta")).device == torch.device("meta")
