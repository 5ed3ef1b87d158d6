"""Updates that are recorded once they repeat, and replayed from then on.

A replay makes the operations of one update on the same addresses. Whatever differs from update to
update, such as indices, random values and learning rates, is copied to fixed addresses before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple

from torch import Tensor

from adaptune.data.transfer import FixedValues
from adaptune.training.cuda_graph import Graph, Recorder
from adaptune.training.draws import Requests, Seed, draw_all, seed_torch
from adaptune.training.rates import Rates, optimizers_of, rates_of, rates_on_device
from adaptune.training.state import TrainingState
from adaptune.training.steps.batch import BatchIndices
from adaptune.training.steps.optimization import LossTerms

log = logging.getLogger(__name__)

EAGER_UPDATES = 3  # of each kind before it is recorded: libraries choose their algorithms in them
Group = Sequence[TrainingState]
# Computes an update of a group from its samples, on the CPU and on the device.
Compute = Callable[[Group, BatchIndices, BatchIndices], list[LossTerms]]


class _Inputs(NamedTuple):
    """Everything that an update gets from the CPU.

    Attributes:
        drawn: its random values.
        indices: its samples.
        rates: its rates.
    """

    drawn: tuple[object, ...]
    indices: BatchIndices
    rates: Rates


@dataclass(frozen=True)
class _RecordedUpdate:
    """An update that can be replayed.

    Attributes:
        inputs: what it reads from the CPU, at fixed addresses.
        parts: its graphs, each with the seed that is set before.
        terms: the loss terms of each trial, changed by each replay.
        addresses: addresses of the state that it changes.
    """

    inputs: FixedValues[_Inputs]
    parts: Sequence[tuple[Seed | None, Graph]]
    terms: list[LossTerms]
    addresses: Sequence[int]

    def replay(self, inputs: _Inputs) -> list[LossTerms]:
        """Make an update with other inputs, and return its loss terms."""
        self.inputs.replace(inputs)
        for seed, graph in self.parts:
            if seed is not None:
                seed_torch(seed)
            graph.replay()
        return self.terms


@dataclass
class _Kind:
    """The updates that make the same operations.

    Attributes:
        eager_updates: how many have been computed eagerly since the image pools are full.
        requests: the random values that they ask for.
        recorded: one of them, recorded; None before.
    """

    eager_updates: int = 0
    requests: Requests = field(default_factory=dict)
    recorded: _RecordedUpdate | None = None


class RecordedUpdates:
    """The updates of the trials of a group, each kind recorded after a few eager ones.

    If an update cannot be recorded, it and all later ones are computed eagerly.

    Args:
        recorder: records operations of the device.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._group: Group = ()
        self._kinds: dict[Hashable, _Kind] = {}
        self._has_failed = False

    def begin_epoch(self, group: Group) -> None:
        """Prepare for updates of these trials: forget what is recorded of others.

        What is recorded of these is also forgotten if their state is at other addresses by now.
        """
        if [*map(id, group)] != [*map(id, self._group)]:
            self._kinds.clear()
            self._group = list(group)
        addresses = addresses_of(group)
        for kind in self._kinds.values():
            if kind.recorded is not None and kind.recorded.addresses != addresses:
                kind.recorded = None

    def run(self, compute: Compute, group: Group, indices: BatchIndices) -> list[LossTerms]:
        """Make an update, and return its loss terms, which the next update changes.

        Args:
            compute: computes an update. What it does depends on `TrainingState.structure` only.
            group: the trials of `begin_epoch`.
            indices: its samples, on the CPU.
        """
        if self._has_failed:
            return run_eagerly(compute, group, indices)
        kind = self._kinds.setdefault(tuple(state.structure for state in group), _Kind())
        if kind.eager_updates < EAGER_UPDATES:
            return self._run_eagerly(kind, compute, group, indices)
        inputs = _inputs(kind.requests, group, indices)
        if kind.recorded is None:
            kind.recorded = self._record(kind.requests, compute, group, inputs)
        if kind.recorded is None or not kind.recorded.inputs.fits(inputs):
            return run_eagerly(compute, group, indices)
        return kind.recorded.replay(inputs)

    def _run_eagerly(
        self, kind: _Kind, compute: Compute, group: Group, indices: BatchIndices
    ) -> list[LossTerms]:
        first = group[0]
        pooled = _pooled(first)
        with self._recorder.side_stream():
            terms = run_eagerly(compute, group, indices)
        kind.requests = first.draws.requests
        # The CPU counts the images of a pool until it is full.
        kind.eager_updates = kind.eager_updates + 1 if _pooled(first) == pooled else 0
        return terms

    def _record(
        self, requests: Requests, compute: Compute, group: Group, inputs: _Inputs
    ) -> _RecordedUpdate | None:
        first = group[0]
        fixed = FixedValues(inputs, first.device)
        drawn = dict(zip(requests, fixed.values.drawn, strict=True))
        recording = _Recording(self._recorder, self._any_graph())
        try:
            with (
                self._recorder.side_stream(),
                first.draws.recording(first.step, drawn, recording.seed),
                rates_on_device(group, fixed.values.rates),
                recording,
            ):
                terms = compute(group, inputs.indices, fixed.values.indices)
        except RuntimeError as error:
            log.warning("updates run without a CUDA graph, since none can be recorded: %s", error)
            self._has_failed = True
            self._kinds.clear()
            for optimizer in optimizers_of(group):
                optimizer.zero_grad(set_to_none=True)
            return None
        return _RecordedUpdate(fixed, recording.parts, terms, addresses_of(group))

    def _any_graph(self) -> Graph | None:
        """Return a graph of another kind of update, if there is one."""
        recorded = (kind.recorded for kind in self._kinds.values())
        return next((update.parts[0][1] for update in recorded if update is not None), None)


class _Recording:
    """A context that records what happens in it, as one graph or several.

    Torch's generators can only be seeded between two graphs.

    Args:
        beside: see `Recorder.begin`.
    """

    def __init__(self, recorder: Recorder, beside: Graph | None) -> None:
        self.parts: list[tuple[Seed | None, Graph]] = []
        self._recorder = recorder
        self._beside = beside
        self._seed: Seed | None = None
        self._graph: Graph | None = None  # which is being recorded

    def __enter__(self) -> None:
        self._begin()

    def __exit__(
        self, error: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if error is None:
            self._end()
            return
        with suppress(RuntimeError):  # the first error says more
            self._end()

    def seed(self, seed: Seed) -> None:
        """End the graph, and begin another one, before which torch is seeded."""
        self._end()
        seed_torch(seed)
        self._seed = seed
        self._begin()

    def _begin(self) -> None:
        self._graph = self._recorder.begin(self._beside)
        self._beside = self._graph

    def _end(self) -> None:
        graph, self._graph = self._graph, None
        if graph is not None:
            self._recorder.end(graph)
            self.parts.append((self._seed, graph))


def run_eagerly(compute: Compute, group: Group, indices: BatchIndices) -> list[LossTerms]:
    """Make an update as it is written, and return its loss terms; see `RecordedUpdates.run`."""
    return compute(group, indices, group[0].prepare_draws(indices))


def addresses_of(group: Group) -> list[int]:
    """Return the address of each tensor that the updates of a group change."""
    return [tensor.data_ptr() for state in group for tensor in _changed_tensors(state)]


def _changed_tensors(state: TrainingState) -> Iterator[Tensor]:
    yield state.semantic_open
    for pool in (state.pool_source, state.pool_target):
        if pool.images is not None:
            yield pool.images
    for network in state.networks.trained().values():
        yield from network.parameters()
        yield from network.buffers()
    for average in state.averages.values():
        yield from average.module.state_dict().values()
    for optimizer in state.optimizers.by_name().values():
        for values in optimizer.state.values():
            yield from (value for value in values.values() if isinstance(value, Tensor))


def _pooled(state: TrainingState) -> list[int]:
    """Return the number of images in each image pool."""
    pools = (state.pool_source.images, state.pool_target.images)
    return [0 if images is None else len(images) for images in pools]


def _inputs(requests: Requests, group: Group, indices: BatchIndices) -> _Inputs:
    return _Inputs(draw_all(requests, group[0].rng), indices, rates_of(group))
