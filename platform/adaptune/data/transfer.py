"""Copies from the CPU to a device that the CPU does not wait for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar, cast

import torch
from torch import Tensor

T = TypeVar("T")
_ALIGNMENT = 16  # bytes; more than any type needs


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Return values from the CPU on a device: any shape (…) → the same shape and type.

    A GPU copies from pinned memory while the CPU continues; torch keeps that memory until the copy
    is over. From other memory, the CPU would wait for all work that the GPU has been given.
    """
    if device.type != "cuda" or values.device.type != "cpu":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


def to_device_at_once(values: T, device: torch.device) -> T:
    """Return values from the CPU on a device, by a single copy.

    Args:
        values: tensors in tuples, named or not, which may contain anything else as well.
    """
    if device.type == "cpu":
        return values
    return unpack(to_device(pack(values), device), values)


class FixedValues(Generic[T]):
    """Values on a device that keep their addresses: new ones take their place by a single copy.

    Args:
        values: the first values on the CPU, see `to_device_at_once`.

    Attributes:
        values: the same values with tensors on the device.
    """

    def __init__(self, values: T, device: torch.device) -> None:
        packed = pack(values)
        self._packed = torch.empty_like(packed, device=device)
        self._layout = _layout(values)
        self.values = unpack(self._packed, values)
        self.replace(values)

    def fits(self, values: object) -> bool:
        """Return whether values differ from the first ones in the contents of tensors only."""
        return _layout(values) == self._layout

    def replace(self, values: T) -> None:
        """Replace the values by others from the CPU, which fit."""
        packed = pack(values)
        if self._packed.device.type == "cuda":
            packed = packed.pin_memory()
        self._packed.copy_(packed, non_blocking=True)


def pack(values: object) -> Tensor:
    """Return the bytes of all tensors, see `to_device_at_once`: uint8 (B,)."""
    parts = [_padded_bytes(tensor) for tensor in _tensors(values)]
    return torch.cat(parts) if parts else torch.empty(0, dtype=torch.uint8)


def unpack(packed: Tensor, values: T) -> T:
    """Return the same values with views of packed bytes in place of the tensors.

    Args:
        packed: what `pack` made of values of these types and shapes, uint8 (B,).
    """
    views = []
    start = 0
    for tensor in _tensors(values):
        size = tensor.numel() * tensor.element_size()
        views.append(packed[start : start + size].view(tensor.dtype).view(tensor.shape))
        start += size + _padding(size)
    return _with_tensors(values, iter(views))


def _tensors(values: object) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, tuple):
        for value in values:
            yield from _tensors(value)


def _layout(values: object) -> object:
    """Return the values with the type and the shape of each tensor in its place."""
    if isinstance(values, Tensor):
        return values.dtype, values.shape
    if isinstance(values, tuple):
        return tuple(_layout(value) for value in values)
    return values


def _with_tensors(values: T, tensors: Iterator[Tensor]) -> T:
    """Return the same values with other tensors, in the order of `_tensors`."""
    if isinstance(values, Tensor):
        return cast("T", next(tensors))
    if not isinstance(values, tuple):
        return values
    replaced = [_with_tensors(value, tensors) for value in values]
    # A named tuple takes its values one by one.
    is_named = hasattr(values, "_fields")
    return cast("T", type(values)(*replaced) if is_named else tuple(replaced))


def _padded_bytes(tensor: Tensor) -> Tensor:
    """Return the bytes of a tensor, with zeros up to the alignment: uint8 (B,)."""
    content = tensor.contiguous().view(-1).view(torch.uint8)
    return torch.cat([content, content.new_zeros(_padding(len(content)))])


def _padding(size: int) -> int:
    return -size % _ALIGNMENT
