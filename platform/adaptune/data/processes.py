"""Work on parts of a data set in several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import joblib
import torch

# Processes without work end after so many seconds. Until then the next data set can use them:
# a new process imports torch first.
IDLE_TIMEOUT_S = 10

Part = TypeVar("Part")
Result = TypeVar("Result")


def in_processes(
    function: Callable[[Part], Result], parts: Sequence[Part], workers: int
) -> Iterator[Result]:
    """Yield the results of a function for each part, in any order.

    Args:
        workers: number of processes; one is this process.
    """
    if workers == 1:  # no process to start
        yield from map(function, parts)
        return
    with joblib.parallel_config("loky", idle_worker_timeout=IDLE_TIMEOUT_S):
        parallel = joblib.Parallel(workers, return_as="generator_unordered", batch_size=1)
    yield from parallel(joblib.delayed(_on_one_core)(function, part) for part in parts)


def _on_one_core(function: Callable[[Part], Result], part: Part) -> Result:
    torch.set_num_threads(1)  # there is a process for each core
    return function(part)
