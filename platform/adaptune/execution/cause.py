"""The cause of a failure, in one line, out of the errors in which Ray wraps it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from ray import cloudpickle
from ray.exceptions import RayTaskError
from ray.train import ControllerError, WorkerGroupError

from adaptune.errors import AdaptuneError, TrialCrashedError

if TYPE_CHECKING:  # `adaptune status` needs no Ray Tune
    from ray.tune.experiment import Trial

log = logging.getLogger(__name__)
# Errors of the code, or of the settings that it was given: another attempt meets them again. A
# RuntimeError may come from a collective whose peer has died.
_CERTAIN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    NotImplementedError,
    TypeError,
    ValueError,
)
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "memory usage threshold")
MEMORY_HINT = (
    "raise training.accumulate, or lower training.batch_size, model.generator.width or the size of"
    " the images (data.source.size, data.target.size), or give each trial more of its device"
    " (resources.gpus_per_worker, resources.max_concurrent)"
)
HUNG = "it finished no epoch within resources.epoch_timeout_s"
_MAX_LENGTH = 400  # Ray's explanations are longer


@contextmanager
def crash_reported() -> Iterator[None]:
    """Turn an error of training that is certain to happen again into a TrialCrashedError.

    Raises:
        TrialCrashedError: memory ran out, or the code raised an error other than a RuntimeError.
    """
    try:
        yield
    except AdaptuneError:
        raise
    except (MemoryError, RuntimeError, *_CERTAIN) as error:
        if isinstance(error, _CERTAIN) or is_out_of_memory(error):
            raise TrialCrashedError(cause_of(error)) from error
        raise


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether a device or a node had too little memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(words in str(error) for words in _OUT_OF_MEMORY)


def cause_of(error: BaseException) -> str:
    """Return the error that a failure goes back to, in one line, with a hint if memory ran out."""
    root = _root(error)
    line = _telling_line(root)
    is_named = isinstance(root, AdaptuneError) or _is_traceback(root)
    if not is_named and type(root).__name__ not in line:
        line = f"{type(root).__name__}: {line}".removesuffix(": ")
    hint = "" if MEMORY_HINT in line or not is_out_of_memory(root) else f"; {MEMORY_HINT}"
    return line + hint


def cause_of_death(trial: Trial) -> str:
    """Return why the last process of a Tune trial died, in one line."""
    error = None
    try:
        # On this node; Trial.get_pickled_error() reads the storage, to which it is copied later.
        if trial.pickled_error_file is not None:
            error = cloudpickle.loads(Path(trial.pickled_error_file).read_bytes())
    except Exception:  # it may be of any class, which this process may be unable to load
        log.exception("the error of %s cannot be read", trial)
    if error is None:
        return "unknown, see ray.log"
    cause = cause_of(error)
    return HUNG if "ray.kill" in cause else cause  # only the watchdog uses it


def is_from_code(error: BaseException | None) -> bool:
    """Return whether Python code of all failed workers raised a failure of Ray Train.

    Otherwise a worker died without a word, as it does when its node is lost.
    """
    if not isinstance(error, WorkerGroupError):
        return False
    return all(_is_traceback(failure) for failure in error.worker_failures.values())


def _root(error: BaseException) -> BaseException:
    if isinstance(error, WorkerGroupError) and error.worker_failures:
        # The peers of a dead worker fail as well, with a RuntimeError of the collective.
        failures = sorted(error.worker_failures.values(), key=_is_of_a_collective)
        return _root(failures[0])
    if isinstance(error, ControllerError):
        return _root(error.controller_failure)
    if isinstance(error, RayTaskError) and isinstance(error.cause, BaseException):
        return _root(error.cause)
    health_check_failure = getattr(error, "health_check_failure", None)  # of a dead worker
    if isinstance(health_check_failure, BaseException):
        return _root(health_check_failure)
    return error


def _is_of_a_collective(error: BaseException) -> bool:
    return _is_traceback(error) and "RuntimeError" in str(error)


def _is_traceback(error: BaseException) -> bool:
    """Return whether the text of an error is a traceback, as Ray Train's are."""
    return "Traceback (most recent call last)" in str(error)


def _telling_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return ""
    telling = lines[-1]
    for line in lines:
        if any(words in line for words in _OUT_OF_MEMORY):
            telling = line
            break
    if len(telling) > _MAX_LENGTH:
        telling = telling[: _MAX_LENGTH - 1] + "…"
    return telling
