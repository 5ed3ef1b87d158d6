"""Work on parts of a data set in several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import joblib
import torch
from joblib.externals.loky.process_executor import TerminatedWorkerError

from adaptune.errors import DataError

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

    Raises:
        DataError: a process was killed, for example because there was too little memory.
    """
    if workers == 1:  # no process to start
        yield from map(function, parts)
        return
    with joblib.parallel_config("loky", idle_worker_timeout=IDLE_TIMEOUT_S):
        parallel = joblib.Parallel(workers, return_as="generator_unordered", batch_size=1)
    try:
        yield from parallel(joblib.delayed(_on_one_core)(function, part) for part in parts)
    except TerminatedWorkerError as error:
        raise DataError(
            f"one of {workers} processes that read images was killed, perhaps for lack of memory:"
            " set the environment variable LOKY_MAX_CPU_COUNT to a smaller number of processes"
        ) from error


def _on_one_core(function: Callable[[Part], Result], part: Part) -> Result:
    torch.set_num_threads(1)  # there is a process for each core
    return function(part)
