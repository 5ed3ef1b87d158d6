"""Images on a device: stored as bytes, converted to floats one batch at a time."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from adaptune.data.domain import Images, Labels


def to_float(images: Tensor) -> Tensor:
    """Convert uint8 images of 0 to 255 to float32 in [-1, 1]: (N, C, H, W) → (N, C, H, W)."""
    return (images.to(torch.float32) / 127.5).sub_(1.0)


class DeviceImages:
    """A data set on a device.

    On the CPU it shares the memory of the arrays and never writes to it.

    Args:
        images: uint8 (N, C, H, W).
        labels: int64 (N,), or None.
        device: the device that stores the images and the labels.
    """

    def __init__(self, images: Images, labels: Labels | None, device: torch.device | str) -> None:
        self._images = _shared_tensor(images).to(device)
        self._labels: Tensor | None = None
        if labels is not None:
            self._labels = _shared_tensor(labels).to(device)

    @property
    def device(self) -> torch.device:
        """The device that stores the images."""
        return self._images.device

    def __len__(self) -> int:
        return len(self._images)

    def take(self, indices: Tensor) -> Tensor:
        """Return the images at `indices`: int64 (B,) → float32 (B, C, H, W) in [-1, 1]."""
        return to_float(self._images[indices.to(self.device)])

    @property
    def labels(self) -> Tensor:
        """All labels: int64 (N,) on the device.

        Raises:
            ValueError: the data set has no labels.
        """
        if self._labels is None:
            raise ValueError("these images have no labels")
        return self._labels

    def labels_of(self, indices: Tensor) -> Tensor:
        """Return the labels at `indices`: int64 (B,) → int64 (B,) on the device.

        Raises:
            ValueError: the data set has no labels.
        """
        return self.labels[indices.to(self.device)]


def _shared_tensor(array: npt.NDArray[np.generic]) -> Tensor:
    with warnings.catch_warnings():
        # Arrays from Ray's object store are read-only, which a torch tensor cannot express.
        warnings.filterwarnings("ignore", message=".*not writable", category=UserWarning)
        return torch.from_numpy(array)
