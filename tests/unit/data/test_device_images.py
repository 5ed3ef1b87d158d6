from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from adaptune.data.device_images import DeviceImages, to_float

IMAGES = np.arange(2 * 3 * 4 * 4, dtype=np.uint8).reshape(2, 3, 4, 4)
LABELS = np.array([4, 9], dtype=np.int64)


def test_bytes_become_floats_from_minus_one_to_one() -> None:
    floats = to_float(torch.tensor([0, 255], dtype=torch.uint8))
    assert floats.dtype == torch.float32
    assert floats.tolist() == [-1.0, 1.0]


def test_taking_gives_the_asked_images_and_labels() -> None:
    data = DeviceImages(IMAGES, LABELS, "cpu")
    indices = torch.tensor([1, 0, 1])
    assert torch.equal(data.take(indices), to_float(torch.tensor(IMAGES))[indices])
    assert data.labels_of(indices).tolist() == [9, 4, 9]
    assert len(data) == 2


def test_read_only_arrays_are_shared_without_a_warning_or_a_change() -> None:
    images = IMAGES.copy()
    images.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = DeviceImages(images, None, torch.device("cpu"))
    assert data._images.data_ptr() == images.ctypes.data
    data.take(torch.tensor([0])).zero_()
    assert np.array_equal(images, IMAGES)


def test_labels_that_are_not_there_cannot_be_asked_for() -> None:
    data = DeviceImages(IMAGES, None, "cpu")
    with pytest.raises(ValueError, match="no labels"):
        data.labels_of(torch.tensor([0]))
    with pytest.raises(ValueError, match="no labels"):
        _ = data.labels


def test_images_and_labels_are_on_the_device_that_was_given() -> None:
    data = DeviceImages(IMAGES, LABELS, "meta")
    assert data.device == data.labels.device == torch.device("meta")
    assert data.take(torch.tensor([1], device="meta")).shape == (1, 3, 4, 4)
