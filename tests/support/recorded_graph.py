"""A stand-in for CUDA graphs on the CPU: operations are recorded, and replayed without Python."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# Operations for which a CPU would wait for a GPU, or copy from its own memory.
NEED_THE_CPU = frozenset(
    [
        "_local_scalar_dense",
        "_pin_memory",
        "_unique2",
        "equal",
        "is_nonzero",
        "lift_fresh",  # a tensor of Python numbers
        "masked_select",
        "nonzero",
        "unique_dim",
    ]
)
# Arguments that an operation changes although its signature does not say so.
SILENTLY_WRITTEN = {"native_batch_norm": ("running_mean", "running_var")}


class RecordedGraph(TorchDispatchMode):
    """Operations on the CPU that are computed again, on the same memory, by each replay.

    As on a GPU, a recording changes nothing, and no Python of what was recorded runs in a replay:
    numbers of Python have the values that they had in the recording.

    Attributes:
        outer: addresses of the memory that the operations read or change, and that was there before
            the recording. It must stay where it is.
        inner: addresses of the memory that was there only during the recording.
        replays: how often the operations have been replayed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.outer: set[int] = set()
        self.inner: set[int] = set()
        self.replays = 0
        self._operations: list[tuple[Any, Any, Any, list[tuple[int, Tensor]]]] = []
        self._before: dict[int, tuple[Tensor, Tensor]] = {}  # memory, and a copy of its contents

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        kwargs = kwargs or {}
        if func.namespace == "profiler":
            return func(*args, **kwargs)
        name = func._schema.name.split("::")[1]
        if name in NEED_THE_CPU or (name == "index" and _has_mask(args[1])):
            raise RuntimeError(f"{name} needs the CPU")
        inputs = {_address(tensor) for tensor in _tensors((args, kwargs))}
        self.outer |= inputs - self.inner
        for tensor in _written(func, args, kwargs):
            self._keep(tensor)
        result = func(*args, **kwargs)
        new = []
        for place, leaf in enumerate(tree_leaves(result)):
            if isinstance(leaf, Tensor) and _address(leaf) not in inputs:
                self.inner.add(_address(leaf))
                new.append((place, leaf))
        self._operations.append((func, args, kwargs, new))
        return result

    def restore(self) -> None:
        """Give memory that was there before the recording its contents of then."""
        for memory, content in self._before.values():
            memory.copy_(content)
        self._before.clear()

    def replay(self) -> None:
        """Compute the operations again, on the same memory."""
        self.replays += 1
        with torch.no_grad():
            for func, args, kwargs, new in self._operations:
                results = tree_leaves(func(*args, **kwargs))
                for place, tensor in new:
                    tensor.copy_(results[place])

    def _keep(self, tensor: Tensor) -> None:
        address = _address(tensor)
        if address not in self.inner and address not in self._before:
            memory = torch.empty(0, dtype=torch.uint8)
            memory.set_(tensor.untyped_storage())  # type: ignore[call-overload]
            self._before[address] = memory, memory.clone()


class CpuRecorder:
    """Records operations on the CPU, with the interface of `Recorder`.

    Args:
        fails: whether the end of each recording raises, as that of an invalid CUDA graph does.

    Attributes:
        graphs: all recorded graphs.
    """

    def __init__(self, *, fails: bool = False) -> None:
        self.graphs: list[RecordedGraph] = []
        self._fails = fails

    @property
    def replays(self) -> list[int]:
        """How often each graph has been replayed."""
        return [graph.replays for graph in self.graphs]

    def side_stream(self) -> AbstractContextManager[None]:
        return nullcontext()

    def begin(self, beside: object) -> RecordedGraph:
        graph = RecordedGraph()
        graph.__enter__()
        return graph

    def end(self, graph: Any) -> None:
        graph.__exit__(None, None, None)
        graph.restore()
        if self._fails:
            raise RuntimeError("operation not permitted when stream is capturing")
        self.graphs.append(graph)


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _written(func: Any, args: Any, kwargs: Any) -> Iterator[Tensor]:
    """Yield the tensors that an operation changes in place."""
    silent = SILENTLY_WRITTEN.get(func._schema.name.split("::")[1], ())
    for place, argument in enumerate(func._schema.arguments):
        is_written = argument.alias_info is not None and argument.alias_info.is_write
        if not is_written and argument.name not in silent:
            continue
        value = kwargs.get(argument.name)
        if value is None and place < len(args):
            value = args[place]
        yield from _tensors(value)


def _tensors(values: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def _has_mask(indices: Any) -> bool:
    return any(index is not None and index.dtype == torch.bool for index in indices)


class NoGraphs:
    """A recorder, and its graphs, that record and compute nothing."""

    def side_stream(self) -> AbstractContextManager[None]:
        return nullcontext()

    def begin(self, beside: object) -> NoGraphs:
        return self

    def end(self, graph: object) -> None:
        pass

    def replay(self) -> None:
        pass
