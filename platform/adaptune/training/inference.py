"""Forward passes without gradients, in batches that need less memory than a training step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from adaptune.data.device_images import DeviceImages

MAX_BATCH = 512
_BATCH_PIXELS = MAX_BATCH * 32**2


def inference_batch_size(size_px: int) -> int:
    """Return the number of images per batch: fewer of larger images, at least one.

    Args:
        size_px: H = W of the images.
    """
    return max(1, min(MAX_BATCH, _BATCH_PIXELS // size_px**2))


def image_batches(
    images: DeviceImages, indices: Tensor | None = None, limit: int = MAX_BATCH
) -> Iterator[Tensor]:
    """Yield the images at `indices` in batches: float32 (B, C, H, W) in [-1, 1].

    Args:
        indices: int64 (N,); None for all images.
        limit: largest number of images per batch.
    """
    if indices is None:
        indices = torch.arange(len(images))
    batch_size = min(limit, inference_batch_size(images.size_px))
    for batch in indices.split(batch_size):
        yield images.take(batch)


def uncompiled() -> AbstractContextManager[None]:
    """Return a context in which compiled networks run as they were written.

    Outside an update, batches have sizes of their own: to compile networks for them would take
    longer than to run them, and updates would get programs for any size, which are slower.
    """
    context: AbstractContextManager[None] = torch.compiler.set_stance("force_eager")
    return context


@torch.no_grad()
def infer(
    network: Callable[[Tensor], Tensor],
    images: DeviceImages,
    indices: Tensor | None = None,
    *,
    bf16: bool = False,
) -> Tensor:
    """Return the outputs of a network in eval mode: float32 (N, …), on its device.

    Args:
        indices: int64 (N,), the images to compute; None for all.
        bf16: whether the network computes in bf16.
    """
    outputs = []
    with uncompiled(), torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
        for batch in image_batches(images, indices):
            outputs.append(network(batch).float())
    return torch.cat(outputs)
