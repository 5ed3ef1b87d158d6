"""Which samples an update sees: a pure function of the seed and the step, so a resume needs no state."""

from __future__ import annotations

import torch
from torch import Tensor

from adaptune.seeding import derive_seed


class UnpairedSampler:
    """Batches of unpaired source and target samples.

    Each domain is an endless stream of permutations of itself, cut into batches: a batch may straddle two
    passes, and may be larger than the domain.
    """

    def __init__(self, source_size: int, target_size: int, batch_size: int, seed: int) -> None:
        if min(source_size, target_size, batch_size) < 1:
            raise ValueError("sizes must be at least 1")
        self._sizes = {"source": source_size, "target": target_size}
        self._batch_size = batch_size
        self._seed = seed
        self._current: dict[str, tuple[int, Tensor]] = {}

    def indices(self, step: int) -> tuple[Tensor, Tensor]:
        """Source and target indices of update `step` (from 0): int64 [batch_size] each, over all ranks."""
        return self._batch("source", step), self._batch("target", step)

    def _batch(self, domain: str, step: int) -> Tensor:
        size = self._sizes[domain]
        position, end = step * self._batch_size, (step + 1) * self._batch_size
        pieces = []
        while position < end:
            number, offset = divmod(position, size)
            piece = self._permutation(domain, number)[offset : offset + end - position]
            pieces.append(piece)
            position += len(piece)
        return torch.cat(pieces)

    def _permutation(self, domain: str, number: int) -> Tensor:
        cached = self._current.get(domain)
        if cached is not None and cached[0] == number:
            return cached[1]
        generator = torch.Generator().manual_seed(derive_seed(self._seed, domain, number))
        permutation = torch.randperm(self._sizes[domain], generator=generator)
        self._current[domain] = (number, permutation)
        return permutation


def shard(indices: Tensor, rank: int, world: int) -> Tensor:
    """The part of a global batch that belongs to `rank` of `world`: [B] → [B / world].

    Raises:
        ValueError: B cannot be divided by `world`.
    """
    share, left = divmod(len(indices), world)
    if left:
        raise ValueError(f"a batch of {len(indices)} cannot be shared by {world} workers")
    return indices[rank * share : (rank + 1) * share]
