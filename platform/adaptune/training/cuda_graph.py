"""CUDA graphs: operations that are recorded once, and then started together, without Python."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Protocol

import torch

from adaptune.spec.schema import TrialSpec
from adaptune.training.distributed import world_size
from adaptune.training.steps.batch import TrainingImages

log = logging.getLogger(__name__)


class Graph(Protocol):
    """Recorded operations; `torch.cuda.CUDAGraph` is one."""

    def replay(self) -> None:
        """Compute the operations again, on the same addresses."""


class Recorder(Protocol):
    """Records the operations of a device."""

    def side_stream(self) -> AbstractContextManager[None]:
        """Return a context whose operations are those of the stream that can be recorded."""

    def begin(self, beside: Graph | None) -> Graph:
        """Begin to record operations, which are computed only when the graph is replayed.

        Args:
            beside: a graph whose memory is used as well; the two are never replayed at a time.
        """

    def end(self, graph: Graph) -> None:
        """End the recording.

        Raises:
            RuntimeError: an operation cannot be recorded.
        """


class CudaRecorder:
    """Records operations of a GPU."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = _side_stream(device)

    @contextmanager
    def side_stream(self) -> Iterator[None]:
        """Return a context whose operations are those of the stream that can be recorded."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:
            current.wait_stream(self._stream)

    def begin(self, beside: Graph | None) -> torch.cuda.CUDAGraph:
        """Begin to record operations; see `Recorder.begin`."""
        torch.cuda.empty_cache()  # memory that eager updates have left is of no use to a graph
        pool = beside.pool() if isinstance(beside, torch.cuda.CUDAGraph) else None
        graph = torch.cuda.CUDAGraph()
        # Other threads, such as one that reads images, may use the device meanwhile.
        graph.capture_begin(pool, capture_error_mode="thread_local")
        return graph

    def end(self, graph: Graph) -> None:
        """End the recording; see `Recorder.end`."""
        assert isinstance(graph, torch.cuda.CUDAGraph)
        graph.capture_end()


@cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    """Return the stream that is recorded: one per process, since cuBLAS keeps memory for each."""
    return torch.cuda.Stream(device)


def recorder_of(spec: TrialSpec, images: TrainingImages) -> Recorder | None:
    """Return the recorder of a trial's updates; None if they are computed eagerly.

    A trial that asks for graphs and cannot have them says so in the log.
    """
    # `auto` records nothing until a measurement on a GPU shows the gain.
    if spec.training.cuda_graph != "on":
        return None
    obstacle = _obstacle(images)
    if obstacle is not None:
        log.warning("training.cuda_graph: on has no effect on this trial: %s", obstacle)
        return None
    return CudaRecorder(images.device)


def _obstacle(images: TrainingImages) -> str | None:
    """Return the reason that updates on these images cannot be recorded; None if they can."""
    if images.device.type != "cuda":
        return "there is no GPU"
    if world_size() > 1:
        return "its workers exchange gradients in each update"
    if not images.is_stored:
        return "its images are read from disk; a higher data.resident_gb keeps them on the GPU"
    return None
