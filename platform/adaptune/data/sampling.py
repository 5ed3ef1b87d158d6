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
        balanced_labels: labels of the source samples, int64 (source_size,), if each class is to
            come equally often; None draws each sample equally often.
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
        balanced_labels: Tensor | None = None,
        labelled_size: int = 0,
    ) -> None:
        if min(source_size, target_size, batch_size) < 1:
            raise ValueError("sizes must be at least 1")
        self._batch_size = batch_size
        self._source: _Permutations | _BalancedStream = _Permutations(source_size, seed, "source")
        if balanced_labels is not None:
            self._source = _BalancedStream(balanced_labels.cpu(), seed, "source")
        self._target = _Permutations(target_size, seed, "target")
        self._labelled = _Permutations(labelled_size, seed, "labelled")

    def indices(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the source and the target indices of update `step`, counted from 0.

        Each is int64 (batch_size,), over all ranks.
        """
        start = step * self._batch_size
        end = start + self._batch_size
        return self._source.take(start, end), self._target.take(start, end)

    def labelled_indices(self, step: int) -> Tensor:
        """Return the indices of labelled target samples of update `step`: int64 (batch_size,)."""
        start = step * self._batch_size
        return self._labelled.take(start, start + self._batch_size)


class _Permutations:
    """An endless stream of permutations of `size` indices, which can be read anywhere.

    Args:
        names: name of the stream, see `derive_seed`.
    """

    def __init__(self, size: int, seed: int, *names: str | int) -> None:
        self._size = size
        self._seed = seed
        self._names = names
        self._current: tuple[int, Tensor] | None = None

    def take(self, start: int, end: int) -> Tensor:
        """Return the indices from position `start` to `end`, int64 (end - start,)."""
        position = start
        pieces = []
        while position < end:
            number, offset = divmod(position, self._size)
            piece = self._permutation(number)[offset : offset + end - position]
            pieces.append(piece)
            position += len(piece)
        return torch.cat(pieces)

    def _permutation(self, number: int) -> Tensor:
        if self._current is not None and self._current[0] == number:
            return self._current[1]
        generator = torch.Generator().manual_seed(derive_seed(self._seed, *self._names, number))
        permutation = torch.randperm(self._size, generator=generator)
        self._current = (number, permutation)
        return permutation


class _BalancedStream:
    """An endless stream of samples in which each class comes equally often.

    The classes are a stream of permutations. The samples of each class are a stream of permutations
    of their own, so that a class of fewer samples repeats them sooner.

    Args:
        labels: int64 (N,). Classes without a sample do not come.
    """

    def __init__(self, labels: Tensor, seed: int, name: str) -> None:
        classes = labels.unique()
        self._classes = _Permutations(len(classes), seed, name, "classes")
        self._members: list[Tensor] = []
        self._samples: list[_Permutations] = []
        for label in classes.tolist():
            members = (labels == label).nonzero().flatten()
            self._members.append(members)
            self._samples.append(_Permutations(len(members), seed, name, "class", label))

    def take(self, start: int, end: int) -> Tensor:
        """Return the indices from position `start` to `end`, int64 (end - start,)."""
        classes = self._classes.take(start, end)
        # A permutation has each class once: at position p, p // K samples of it came before.
        rounds = torch.arange(start, end) // len(self._members)
        indices = torch.empty(end - start, dtype=torch.int64)
        for number in classes.unique().tolist():
            positions = (classes == number).nonzero().flatten()
            first = int(rounds[positions[0]])
            last = int(rounds[positions[-1]])
            drawn = self._samples[number].take(first, last + 1)
            indices[positions] = self._members[number][drawn]
        return indices


def shard(indices: Tensor, rank: int, world: int) -> Tensor:
    """Return the part of a global batch that belongs to `rank` of `world`: (B,) → (B / world,).

    Raises:
        ValueError: B is not a multiple of `world`.
    """
    size, remainder = divmod(len(indices), world)
    if remainder:
        raise ValueError(f"a batch of {len(indices)} cannot be shared by {world} workers")
    return indices[rank * size : (rank + 1) * size]
