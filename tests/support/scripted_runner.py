"""A trial runner that returns the outcomes that it was given."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from adaptune.errors import NonFiniteLossError, WorkersLostError
from adaptune.execution.base import RunnerSettings
from adaptune.execution.runtime import GroupJob
from adaptune.training.loop import Outcome
from adaptune.training.record import EpochRecord

Step = EpochRecord | dict[int, Outcome] | Exception | None


@dataclass
class ScriptedRunner:
    """A trial runner that returns or raises its steps.

    A record, or an error of a trial, is that of the first trial of the job.

    Attributes:
        calls: calls of its methods; those of `begin` with the numbers of the trials.
        stopped: numbers of the trials that were stopped before each epoch.
    """

    steps: list[Step]
    settings: RunnerSettings | None = None
    calls: list[str] = field(default_factory=list)
    stopped: list[set[int]] = field(default_factory=list)
    stop_error: WorkersLostError | None = None
    close_error: RuntimeError | None = None

    def begin(self, job: GroupJob) -> None:
        self.job = job
        numbers = ", ".join(str(trial.number) for trial in job.trials)
        self.calls.append(f"begin {numbers}")

    def next_outcomes(self, stopped: Collection[int]) -> dict[int, Outcome] | None:
        self.stopped.append(set(stopped))
        step = self.steps.pop(0)
        if isinstance(step, EpochRecord | NonFiniteLossError):
            return {self.job.number: step}
        if isinstance(step, Exception):
            raise step
        return step

    def stop(self) -> None:
        self.calls.append("stop")
        if self.stop_error is not None:
            raise self.stop_error

    def close(self) -> None:
        self.calls.append("close")
        if self.close_error is not None:
            raise self.close_error
