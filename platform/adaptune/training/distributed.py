"""Communication between the workers of a trial; without a process group, all of it is a no-op."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn.parallel import DistributedDataParallel

T = TypeVar("T")


def world_size() -> int:
    """Return the number of workers."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Return the rank of this worker, in [0, world size)."""
    return dist.get_rank() if dist.is_initialized() else 0


def ddp_wrap(module: nn.Module, device: torch.device) -> nn.Module:
    """Return a module whose gradients are averaged over all workers.

    With one worker, this is the module itself.
    """
    if world_size() == 1:
        return module
    device_ids = [device.index] if device.type == "cuda" else None
    # No network needs equal buffers during training: `average_buffers` runs before they are read.
    # A static graph would help networks with unused parameters, of which there are none.
    return DistributedDataParallel(
        module, device_ids=device_ids, broadcast_buffers=False, gradient_as_bucket_view=True
    )


def unwrap(module: nn.Module) -> nn.Module:
    """Return the network inside a wrapped one.

    It is for forward passes whose gradients do not concern the network's own parameters.
    """
    return module.module if isinstance(module, DistributedDataParallel) else module


def no_gradient_sync(module: nn.Module) -> AbstractContextManager[object]:
    """Return a context in which a wrapped network's gradients are summed on each worker only."""
    if isinstance(module, DistributedDataParallel):
        return module.no_sync()
    return nullcontext()


def all_reduce_mean(value: Tensor) -> Tensor:
    """Compute the mean over all workers: any shape (…) → the same shape."""
    if world_size() > 1:
        value = value.clone()
        dist.all_reduce(value)
        value /= world_size()
    return value


def all_reduce_sum(value: Tensor) -> Tensor:
    """Compute the sum over all workers: any shape (…) → the same shape."""
    if world_size() > 1:
        value = value.clone()
        dist.all_reduce(value)
    return value


def all_gather_with_grad(rows: Tensor) -> Tensor:
    """Concatenate the rows of all W workers by rank: (N, …) → (W · N, …).

    Gradients flow back to the worker that the rows came from. A loss over the result is that of the
    global batch, and must be the same on all workers. It needs no scaling: each worker's rows
    receive the gradients of all W workers, and averaging over the workers undoes it.
    """
    if world_size() == 1:
        return rows
    gathered: Tensor = _GatheredRows.apply(rows)
    return gathered


class _GatheredRows(torch.autograd.Function):
    """The rows of all workers, whose backward pass communicates nothing."""

    @staticmethod
    def forward(ctx: FunctionCtx, rows: Tensor) -> Tensor:
        rows = rows.contiguous()
        parts = [torch.empty_like(rows) for _ in range(world_size())]
        dist.all_gather(parts, rows)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        # Every worker computes the same loss, so the sum over their gradients is a product.
        own = gradient.chunk(world_size())[rank()]
        return world_size() * own


def gather_on_rank_0(value: object) -> list[object]:
    """Return the values of all workers by rank on rank 0, and an empty list on the others."""
    if world_size() == 1:
        return [value]
    values: list[object] | None = None
    if rank() == 0:
        values = [None] * world_size()
    dist.gather_object(value, values)
    return values or []


def broadcast_from_rank_0(value: T) -> T:
    """Return rank 0's value on all workers.

    Args:
        value: the value on rank 0; the others pass any value of the same type.
    """
    if world_size() == 1:
        return value
    values = [value]
    dist.broadcast_object_list(values, src=0)
    return values[0]


def all_gather_objects(value: T) -> list[T]:
    """Return the values of all workers by rank, on each of them."""
    if world_size() == 1:
        return [value]
    values = [value] * world_size()
    dist.all_gather_object(values, value)
    return values


@torch.no_grad()
def average_buffers(modules: Iterable[nn.Module]) -> None:
    """Replace floating-point buffers, such as running statistics, by their mean over workers."""
    buffers = []
    for module in modules:
        buffers += [buffer for buffer in module.buffers() if buffer.is_floating_point()]
    if world_size() == 1 or not buffers:
        return
    means = all_reduce_mean(torch.cat([buffer.flatten() for buffer in buffers]))
    sizes = [buffer.numel() for buffer in buffers]
    for buffer, mean in zip(buffers, means.split(sizes), strict=True):
        buffer.copy_(mean.view_as(buffer))
