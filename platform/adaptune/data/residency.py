"""The decision whether the images of a search stay in the memory of a GPU."""

from __future__ import annotations

import torch

_FREE_PART = 0.25  # the rest is for networks, activations and the caches of cuDNN
_GB = 1e9


def fits_on_device(
    nbytes: int, device: torch.device, limit_gb: float | None, share: float = 1.0
) -> bool:
    """Return whether images should be copied to a device.

    Args:
        nbytes: memory of the images.
        device: the device; images on the CPU stay where they are.
        limit_gb: largest memory in GB; None is a quarter of what is free on the device.
        share: part of the device that this process may use, in (0, 1].
    """
    if device.type != "cuda":
        return False
    if limit_gb is not None:
        return nbytes <= limit_gb * _GB
    free, _ = torch.cuda.mem_get_info(device)
    return nbytes <= _FREE_PART * share * free
