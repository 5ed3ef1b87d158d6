"""Images on a device: kept as bytes, made floats a batch at a time."""

from __future__ import annotations

import warnings
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from adaptune.data.domain import Images, Labels


def to_float(images: Tensor) -> Tensor:
    """uint8 0…255 → float32 in [-1, 1], of the same shape."""
    return (images.to(torch.float32) / 127.5).sub_(1.0)


class DeviceImages:
    """A data set on `device`. On the CPU it shares the arrays' memory, and never writes to it.

    Args:
        images: uint8 [N, C, H, W].
        labels: int64 [N], or None.
    """

    def __init__(self, images: Images, labels: Labels | None, device: torch.device | str) -> None:
        self._images = _shared(images).to(device)
        self._labels = None if labels is None else _shared(labels).to(device)

    @property
    def device(self) -> torch.device:
        return self._images.device

    def __len__(self) -> int:
        return len(self._images)

    def take(self, indices: Tensor) -> Tensor:
        """Images at `indices` (int64 [B]): float32 [B, C, H, W] in [-1, 1] on the device."""
        return to_float(self._images[indices.to(self._images.device)])

    @property
    def labels(self) -> Tensor:
        """All labels: int64 [N] on the device.

        Raises:
            ValueError: the data set was made without labels.
        """
        if self._labels is None:
            raise ValueError("these images have no labels")
        return self._labels

    def labels_of(self, indices: Tensor) -> Tensor:
        """Labels at `indices` (int64 [B]): int64 [B] on the device; raises as `labels` does."""
        return self.labels[indices.to(self.device)]


def _shared(array: npt.NDArray[Any]) -> Tensor:
    with warnings.catch_warnings():
        # Arrays out of Ray's object store are read-only; torch cannot say so of a tensor.
        warnings.filterwarnings("ignore", message=".*not writable", category=UserWarning)
        return torch.from_numpy(array)
