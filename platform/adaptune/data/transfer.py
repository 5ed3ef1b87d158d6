"""Copies from the CPU to a device that the CPU does not wait for."""

from __future__ import annotations

import torch
from torch import Tensor


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Return values from the CPU on a device: any shape (…) → the same shape and type.

    A GPU copies from pinned memory while the CPU continues; torch keeps that memory until the copy
    is over. From other memory, the CPU would wait for all work that the GPU has been given.
    """
    if device.type != "cuda" or values.device.type != "cpu":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)
