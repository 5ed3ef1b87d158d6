"""Images on a device: stored as bytes, converted to floats one batch at a time."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from adaptune.data.array_types import Labels
from adaptune.data.image_set import ImageSet, MemoryImages, in_batches
from adaptune.data.prefetch import Prefetcher
from adaptune.data.transfer import to_device


def to_float(images: Tensor) -> Tensor:
    """Convert uint8 images of 0 to 255 to float32 in [-1, 1]: (N, C, H, W) → (N, C, H, W)."""
    return (images.to(torch.float32) / 127.5).sub_(1.0)


class DeviceImages:
    """A data set on a device.

    Images in memory are stored on the device. On the CPU this shares the memory of the array, and
    never writes to it. Images on disk are stored on a GPU if they are resident; otherwise each
    batch is read when it is needed, or before.

    Args:
        images: N images.
        labels: int64 (N,), or None.
        device: the device of the batches and the labels.
        is_resident: whether images on disk are copied to the memory of a GPU.
    """

    def __init__(
        self,
        images: ImageSet,
        labels: Labels | None,
        device: torch.device | str,
        *,
        is_resident: bool = True,
    ) -> None:
        self.device = torch.device(device)
        self._length = len(images)
        self._size_px = images.shape[-1]
        self._stored: Tensor | None = None
        self._prefetcher: Prefetcher | None = None
        if isinstance(images, MemoryImages):
            self._stored = _shared_tensor(images.pixels).to(self.device)
        elif is_resident and self.device.type != "cpu":
            self._stored = _copy(images, self.device)
        else:
            self._prefetcher = Prefetcher(images, is_pinned=self.device.type == "cuda")
        self._labels: Tensor | None = None
        if labels is not None:
            self._labels = _shared_tensor(labels).to(self.device)

    def __len__(self) -> int:
        return self._length

    @property
    def is_stored(self) -> bool:
        """True if all images are in the memory of the device."""
        return self._stored is not None

    @property
    def size_px(self) -> int:
        """H = W of the images."""
        return self._size_px

    def take(self, indices: Tensor, places: Tensor | None = None) -> Tensor:
        """Return the images at `indices`: int64 (B,) → float32 (B, C, H, W) in [-1, 1].

        Args:
            places: the same indices on the device, if they are there already.
        """
        if self._prefetcher is None:
            assert self._stored is not None
            places = to_device(indices, self.device) if places is None else places
            return to_float(self._stored[places])
        batch = self._prefetcher.take(indices)
        return to_float(batch.to(self.device, non_blocking=True))

    def expect(self, indices: Tensor) -> None:
        """Begin to read the images at `indices`, int64 (B,), which will be taken soon."""
        if self._prefetcher is not None:
            self._prefetcher.expect(indices)

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
        return self.labels[to_device(indices, self.device)]


def _copy(images: ImageSet, device: torch.device) -> Tensor:
    """Return all images on a device: uint8 (N, C, H, W); they pass through memory in batches."""
    stored = torch.empty((len(images), *images.shape), dtype=torch.uint8, device=device)
    start = 0
    for batch in in_batches(images):
        end = start + len(batch)
        stored[start:end] = torch.from_numpy(batch)
        start = end
    return stored


def _shared_tensor(array: npt.NDArray[np.generic]) -> Tensor:
    with warnings.catch_warnings():
        # Arrays from Ray's object store are read-only, which a torch tensor cannot express.
        warnings.filterwarnings("ignore", message=".*not writable", category=UserWarning)
        return torch.from_numpy(array)
