"""What a training step needs to know of its fellow workers. Without a process group, all of it is a no-op."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as differentiable
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


def world_size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def ddp_wrap(module: nn.Module, device: torch.device) -> nn.Module:
    """Let the gradients of `module` be averaged over all workers."""
    if world_size() == 1:
        return module
    device_ids = [device.index] if device.type == "cuda" else None
    # No net here needs its buffers kept in step while it trains: average_buffers does it before they are read.
    return DistributedDataParallel(
        module, device_ids=device_ids, broadcast_buffers=False, gradient_as_bucket_view=True
    )


def unwrap(module: nn.Module) -> nn.Module:
    """The network inside a wrapped one: for passes whose gradients do not concern its own parameters."""
    return module.module if isinstance(module, DistributedDataParallel) else module


def all_reduce_mean(value: Tensor) -> Tensor:
    """The mean of `value` over all workers."""
    if world_size() > 1:
        value = value.clone()
        dist.all_reduce(value)
        value /= world_size()
    return value


def all_reduce_sum(value: Tensor) -> Tensor:
    """The sum of `value` over all workers."""
    if world_size() > 1:
        value = value.clone()
        dist.all_reduce(value)
    return value


def all_gather_with_grad(own: Tensor) -> Tensor:
    """Every worker's (N, …) rows, by rank, (N · workers, …); gradients flow back to the worker they came from.

    A loss over the result is the global batch's and the same on all workers. It needs no scaling: each
    worker's rows receive that gradient once from every worker, and averaging over the workers undoes it.
    """
    if world_size() == 1:
        return own
    return torch.cat(differentiable.all_gather(own.contiguous()))


@torch.no_grad()
def average_buffers(modules: Iterable[nn.Module]) -> None:
    """Give all workers the same running statistics."""
    for module in modules:
        for buffer in module.buffers():
            if buffer.is_floating_point():
                buffer.copy_(all_reduce_mean(buffer))
