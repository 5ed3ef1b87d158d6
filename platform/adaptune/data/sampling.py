"""The samples of each update: a pure function of the seed and the step, without a state to save."""

from __future__ import annotations

import torch
from torch import Tensor

from adaptune.seeding import derive_seed


class UnpairedSampler:
    """Batches of unpaired source and target samples.

    Each domain is an endless stream of its own permutations, cut into batches. A batch can extend
    over two or more permutations, and can be larger than the domain.

    Args:
        source_size: number of source samples.
        target_size: number of target samples.
        batch_size: samples per domain and update, over all ranks.
        seed: decides the permutations.
        labelled_size: number of labelled target samples.

    Raises:
        ValueError: another size is less than 1.
    """

    def __init__(
        self,
        source_size: int,
        target_size: int,
        batch_size: int,
        seed: int,
        labelled_size: int = 0,
    ) -> None:
        if min(source_size, target_size, batch_size) < 1:
            raise ValueError("sizes must be at least 1")
        self._sizes = {"source": source_size, "target": target_size, "labelled": labelled_size}
        self._batch_size = batch_size
        self._seed = seed
        self._current: dict[str, tuple[int, Tensor]] = {}

    def indices(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the source and the target indices of update `step`, counted from 0.

        Each is int64 (batch_size,), over all ranks.
        """
        return self._batch("source", step), self._batch("target", step)

    def labelled_indices(self, step: int) -> Tensor:
        """Return the indices of labelled target samples of update `step`: int64 (batch_size,)."""
        return self._batch("labelled", step)

    def _batch(self, domain: str, step: int) -> Tensor:
        size = self._sizes[domain]
        position = step * self._batch_size
        end = position + self._batch_size
        pieces = []
        while position < end:
            number, offset = divmod(position, size)
            permutation = self._permutation(domain, number)
            piece = permutation[offset : offset + end - position]
            pieces.append(piece)
            position += len(piece)
        return torch.cat(pieces)

    def _permutation(self, domain: str, number: int) -> Tensor:
        if domain in self._current:
            current_number, permutation = self._current[domain]
            if current_number == number:
                return permutation
        generator = torch.Generator().manual_seed(derive_seed(self._seed, domain, number))
        permutation = torch.randperm(self._sizes[domain], generator=generator)
        self._current[domain] = (number, permutation)
        return permutation


def shard(indices: Tensor, rank: int, world: int) -> Tensor:
    """Return the part of a global batch that belongs to `rank` of `world`: (B,) → (B / world,).

    Raises:
        ValueError: B is not a multiple of `world`.
    """
    size, remainder = divmod(len(indices), world)
    if remainder:
        raise ValueError(f"a batch of {len(indices)} cannot be shared by {world} workers")
    return indices[rank * size : (rank + 1) * size]
