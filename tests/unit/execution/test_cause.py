from __future__ import annotations

import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ray import cloudpickle
from ray.exceptions import OutOfMemoryError, RayTaskError
from ray.train import ControllerError, WorkerGroupError
from ray.tune.experiment import Trial

from adaptune.errors import CheckpointError, TrialCrashedError, WorkersLostError
from adaptune.execution.cause import (
    HUNG,
    MEMORY_HINT,
    cause_of,
    cause_of_death,
    crash_reported,
    is_from_code,
    is_out_of_memory,
)

BATCH_OF_ONE = "Expected more than 1 value per channel when training, got size [1, 8, 1, 1]"
PEER = "[/__w/pytorch/gloo/transport/tcp/pair.cc:561] Connection closed by peer [127.0.0.1]:4711"
KILLED = (
    "Memory on the node was 30.50GB / 31.00GB (0.98), which exceeds the memory usage threshold of"
    " 0.95."
)


class TracedError(Exception):
    """An error whose text is a traceback, like Ray Train's of a worker."""


def traced(error: Exception) -> TracedError:
    text = "".join(traceback.format_exception(type(error), error, None))
    return TracedError("Traceback (most recent call last):\n" + text)


class DeadWorkerError(Exception):
    """Ray Train's error for a worker that does not answer."""

    def __init__(self, failure: Exception) -> None:
        super().__init__("A worker health check failed.")
        self.health_check_failure = failure


def of_group(**failures: Exception) -> WorkerGroupError:
    return WorkerGroupError("rank 0 failed", dict(enumerate(failures.values())))


def of_task(error: Exception) -> RayTaskError:
    return RayTaskError("step", "Traceback …", error)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (KeyError("a"), "KeyError: 'a'"),
        (RuntimeError(), "RuntimeError"),
        (CheckpointError("damaged"), "damaged"),
        (RuntimeError("first\n\n  last  \n"), "RuntimeError: last"),
        (of_task(ValueError(BATCH_OF_ONE)), f"ValueError: {BATCH_OF_ONE}"),
        (ControllerError(RuntimeError("no room")), "RuntimeError: no room"),
        (of_group(worker=traced(ValueError(BATCH_OF_ONE))), f"ValueError: {BATCH_OF_ONE}"),
        (
            of_group(peer=traced(RuntimeError(PEER)), first=traced(ValueError("bad"))),
            "ValueError: bad",
        ),
        (
            of_group(
                peer=traced(RuntimeError(PEER)),
                dead=DeadWorkerError(OutOfMemoryError(KILLED)),
            ),
            f"OutOfMemoryError: {KILLED}; {MEMORY_HINT}",
        ),
        (of_group(peer=traced(RuntimeError(PEER))), f"RuntimeError: {PEER}"),
    ],
)
def test_the_cause_is_the_first_error_in_one_line(error: Exception, cause: str) -> None:
    assert cause_of(error) == cause


def test_the_line_that_tells_of_memory_is_preferred_and_says_what_to_lower() -> None:
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nSee the manual.")
    expected = f"OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB.; {MEMORY_HINT}"
    assert cause_of(error) == expected
    for key in ("training.batch_size", "model.generator.width", "resources.gpus_per_worker"):
        assert key in expected
    assert cause_of(TrialCrashedError(expected)) == expected  # the hint is given once


def test_a_long_explanation_is_cut() -> None:
    assert len(cause_of(RuntimeError("x" * 5000))) < 500


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 8 TB"), True),
        (RuntimeError(PEER), False),
    ],
)
def test_a_lack_of_memory_is_known_by_class_or_text(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


@pytest.mark.parametrize(
    "error",
    [
        ValueError(BATCH_OF_ONE),
        TypeError("t"),
        IndexError("i"),
        KeyError("k"),
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError("m"),
    ],
)
def test_an_error_that_is_certain_to_happen_again_is_a_crash(error: Exception) -> None:
    with pytest.raises(TrialCrashedError) as caught, crash_reported():
        raise error
    assert str(caught.value) == cause_of(error)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error", [RuntimeError(PEER), OSError("disk"), CheckpointError("c"), WorkersLostError("w")]
)
def test_an_error_that_may_pass_is_none(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, crash_reported():
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (of_group(a=traced(RuntimeError("cuDNN")), b=traced(RuntimeError(PEER))), True),
        (of_group(a=traced(RuntimeError(PEER)), b=DeadWorkerError(RuntimeError("gone"))), False),
        (ControllerError(RuntimeError("no room")), False),
        (None, False),
    ],
)
def test_workers_that_die_without_a_word_raised_nothing(
    error: Exception | None, expected: bool
) -> None:
    assert is_from_code(error) is expected


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (of_task(RuntimeError("cuDNN failed")), "RuntimeError: cuDNN failed"),
        (RuntimeError("The actor is dead because it was killed by `ray.kill`."), HUNG),
        (None, "unknown, see ray.log"),
    ],
)
def test_the_cause_of_death_of_a_trials_process(
    error: Exception | None, cause: str, tmp_path: Path
) -> None:
    file = tmp_path / "error.pkl"
    if error is not None:
        file.write_bytes(cloudpickle.dumps(error))
    trial: Any = SimpleNamespace(pickled_error_file=None if error is None else str(file))
    assert cause_of_death(trial) == cause


def test_an_error_that_cannot_be_read_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "error.pkl").write_bytes(b"of a class that is not installed here")
    trial: Any = SimpleNamespace(pickled_error_file=str(tmp_path / "error.pkl"))
    assert cause_of_death(trial) == "unknown, see ray.log"
    assert "cannot be read" in caplog.text


def test_tune_keeps_the_error_where_it_is_read() -> None:
    assert isinstance(Trial.pickled_error_file, property)
