"""Failure of the n-th call that changes a folder: once, from then on, or by the death of all."""

from __future__ import annotations

import errno
import os
import threading
from dataclasses import dataclass
from enum import Enum
from typing import Any

from support.file_calls import Call, Perform

# A full disk does not hinder them.
_DELETIONS = ("unlink", "rmdir", "ftruncate", "truncate")


class Failure(Enum):
    """Kind of failure of the n-th call."""

    ONCE = "fails once"
    FROM_THEN_ON = "and all later ones fail"
    KILL = "is the last one of the process"


class ProcessKilled(BaseException):
    """The end of the process: no clean-up happens."""


@dataclass
class FailingCalls:
    """A handler of `FileCalls` that lets the n-th call fail.

    A failed write writes half of its bytes before, as a full disk and a kill do.

    Attributes:
        n: number of the call, from 1.
        failure: kind of failure.
        code: error number of the OSError.
        count: number of calls so far.
        failed: the n-th call; None if there were fewer.
    """

    n: int
    failure: Failure
    code: int = errno.ENOSPC
    count: int = 0
    failed: Call | None = None

    def __call__(self, call: Call, perform: Perform) -> Any:
        """Perform a call, or raise."""
        self.count += 1
        if self.count < self.n or (self.count > self.n and self.failure is Failure.ONCE):
            return _perform(call, perform)
        if self.count == self.n:
            self.failed = call
            if call.function == "write":
                os.pwrite(call.file, call.body[: len(call.body) // 2], _end(call.file))
        if self.failure is not Failure.KILL:
            if self.count > self.n and call.function in _DELETIONS:
                return _perform(call, perform)
            raise OSError(self.code, os.strerror(self.code))
        if threading.current_thread() is not threading.main_thread():
            raise SystemExit  # ends a thread without a word
        raise ProcessKilled(f"killed at call {self.n}")


def _perform(call: Call, perform: Perform) -> Any:
    # No power cut is simulated: waiting for the disk would take most of the time.
    return None if call.function == "fsync" else perform()


def _end(file: int) -> int:
    return os.fstat(file).st_size
