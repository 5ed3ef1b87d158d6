"""Preparation of images by the nodes of a cluster, for a cache that they share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import ray
import torch
from ray.exceptions import RayError

from adaptune.data.chunk import Chunk

STALL_TIMEOUT_S = 300.0


def prepare_on_nodes(chunks: Sequence[Chunk], progress: Callable[[int, int], None]) -> None:
    """Prepare images by Ray tasks, each with one CPU.

    It is an acceleration only: the driver prepares afterwards what is missing, and finds out why.
    Images are missing if a node cannot read them, if the nodes do not share the cache, or if other
    jobs use all CPUs.

    Args:
        progress: called with the number of prepared images, and of those to prepare.
    """
    task = ray.remote(_write).options(
        name="prepare images", num_cpus=1, scheduling_strategy="SPREAD", max_retries=0
    )
    counts = {task.remote(chunk): len(chunk.source) for chunk in chunks}
    total = sum(counts.values())
    pending = list(counts)
    done = 0
    while pending:
        ready, pending = ray.wait(pending, timeout=STALL_TIMEOUT_S)
        if not ready:
            for reference in pending:
                ray.cancel(reference)
            return
        for reference in ready:
            done += counts[reference]
            with suppress(RayError):
                ray.get(reference)
        progress(done, total)


def _write(chunk: Chunk) -> None:
    torch.set_num_threads(1)
    chunk.write()
