"""The Ray Tune trainable: an actor that owns a trial runner and takes one group after another."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection
from dataclasses import dataclass

import ray
from ray import tune

from adaptune.errors import (
    CheckpointError,
    NonFiniteLossError,
    TrialCrashedError,
    WorkersLostError,
    WorkersNotStartedError,
)
from adaptune.execution.base import RunnerSettings, SharedRefs, TrialRunner
from adaptune.execution.cause import cause_of
from adaptune.execution.open_runner import open_runner
from adaptune.execution.recovery import RecoveringRunner
from adaptune.execution.runtime import GroupJob
from adaptune.results.folder import ResultsFolder
from adaptune.search.protocol import GroupConfig, GroupResult, TrialResult
from adaptune.spec.resources import Execution, WorkerResources
from adaptune.spec.schema import SearchSpec
from adaptune.study.job import make_job
from adaptune.training.identity import TrialInputs
from adaptune.training.loop import Outcome
from adaptune.training.record import EpochRecord

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrialContext:
    """Settings that all trials of a search share."""

    spec: SearchSpec
    folder: ResultsFolder
    execution: Execution
    resources: WorkerResources
    shared: SharedRefs
    inputs: TrialInputs


class TrialTrainable(tune.Trainable):  # type: ignore[misc]  # Ray is untyped
    """A trial group, of which one step is one epoch.

    A failed trial is a result with an error, not an exception, so that the worker group survives. A
    group for which no workers start is a result with a reason to requeue it.
    """

    def setup(self, config: dict[str, object], context: TrialContext) -> None:
        """Prepare the first trials."""
        self._context = context
        reuse_workers = context.spec.resources.reuse_workers
        self._runner = RecoveringRunner(self._open_workers, reuse_workers=reuse_workers)
        self._is_spoiled = False  # this process must train no further trial
        self._next: GroupConfig | None = None  # it begins with the next step
        self._begin(GroupConfig.from_tune(config))

    def __repr__(self) -> str:
        """Return the name of this actor on the dashboard, which cannot change with the trial."""
        return f"{self._context.spec.name} runner"

    def step(self) -> dict[str, object]:
        """Train one epoch.

        Raises:
            RuntimeError: the process has to end; Tune restarts the trials in another one.
        """
        if self._is_spoiled:
            raise RuntimeError("the trial before left its process unfit for another trial")
        try:
            self._begin_next()
            return self._next_result().to_tune()
        except Exception as error:
            cause = cause_of(error)
            if cause == self._config.death and self._epoch <= self._config.death_epoch:
                # The last process died of it as well, at the same epoch.
                return self._crash_result(cause).to_tune()
            raise

    def stop_trials(self, numbers: Collection[int]) -> None:
        """Train these trials of the group no more, from the next step on."""
        self._stopped.update(numbers)

    def reset_config(self, new_config: dict[str, object]) -> bool:
        """Note the next trials of the same worker group, which begin with its first step.

        Tune fails a trial if this raises an error, and starts another process if `step` does.
        """
        self._next = GroupConfig.from_tune(new_config)
        return True

    def cleanup(self) -> None:
        """Shut the worker group down."""
        self._runner.close()

    def _begin_next(self) -> None:
        """Stop the last trials and begin the next ones, if there are some that have not begun."""
        config, self._next = self._next, None
        if config is not None:
            self._runner.end_job()
            self._begin(config)

    def _begin(self, config: GroupConfig) -> None:
        context = self._context
        self._config = config
        self._epoch = 0  # last one that this process has reported
        self._stopped = set(config.ended)
        jobs = []
        for trial in config.running:
            job = make_job(
                context.spec,
                trial.number,
                trial.values,
                context.folder,
                context.inputs,
                leader=config.leader,
            )
            jobs.append(job)
        self._runner.begin(GroupJob(tuple(jobs)))

    def _next_result(self) -> GroupResult:
        try:
            outcomes = self._runner.next_outcomes(self._stopped)
        except WorkersNotStartedError as error:
            return GroupResult(requeue_reason=str(error), done=True)
        except TrialCrashedError as error:
            return self._crash_result(str(error))
        except (CheckpointError, WorkersLostError) as error:
            return self._failure(f"{type(error).__name__}: {error}")
        if outcomes is None:
            return GroupResult(done=True)
        results = {number: self._result(number, end) for number, end in outcomes.items()}
        self._stopped.update(number for number, result in results.items() if result.done)
        return GroupResult(results, done=not self._running())

    def _result(self, number: int, outcome: Outcome) -> TrialResult:
        if isinstance(outcome, NonFiniteLossError):
            return TrialResult(error=f"{type(outcome).__name__}: {outcome}", done=True)
        self._epoch = outcome.epoch
        objective = outcome.score(self._context.spec.search.metric)[0]
        return TrialResult(outcome, objective, done=self._is_done(outcome))

    def _running(self) -> list[int]:
        """Return the numbers of the trials that have not ended."""
        numbers = [trial.number for trial in self._config.trials]
        return [number for number in numbers if number not in self._stopped]

    def _crash_result(self, cause: str) -> GroupResult:
        """End trials whose error is bound to happen again, and the processes that met it."""
        self._is_spoiled = self._context.execution == "in_process"
        try:
            self._runner.drop(cause)
        except RuntimeError:
            log.exception("the workers of trial %s did not end", self._config.leader)
            self._is_spoiled = True
        return self._failure(cause)

    def _failure(self, error: str) -> GroupResult:
        results = {number: TrialResult(error=error, done=True) for number in self._running()}
        return GroupResult(results, done=True)

    def _is_done(self, record: EpochRecord) -> bool:
        spec = self._context.spec
        if spec.search.health == "stop" and record.unhealthy is not None:
            return True
        return bool(record.epoch >= spec.epochs)

    def _open_workers(self, index: int) -> TrialRunner:
        context = self._context
        actor_id = ray.get_runtime_context().get_actor_id() or ""
        settings = RunnerSettings(
            name=f"{context.spec.name}-runner-{os.getpid()}-{actor_id[:6]}-{index}",
            resources=context.resources,
            scratch=context.folder.scratch("train"),
            epoch_timeout_s=context.spec.resources.epoch_timeout_s,
        )
        return open_runner(context.execution, settings, context.shared)
