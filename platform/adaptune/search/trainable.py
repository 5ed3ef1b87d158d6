"""The Ray Tune trainable: an actor that owns a trial runner and takes one trial after another."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass

import ray
from ray import tune
from ray.util.metrics import Gauge

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
from adaptune.results.folder import ResultsFolder
from adaptune.search.protocol import TrialConfig, TrialResult
from adaptune.spec.resources import Execution, WorkerResources
from adaptune.spec.schema import SearchSpec
from adaptune.study.job import make_job
from adaptune.training.identity import TrialInputs
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
    """One step is one epoch.

    A failed trial is a result with an error, not an exception, so that the worker group survives. A
    trial for which no workers start is a result with a reason to requeue it.
    """

    def setup(self, config: dict[str, object], context: TrialContext) -> None:
        """Prepare the first trial."""
        self._context = context
        reuse_workers = context.spec.resources.reuse_workers
        self._runner = RecoveringRunner(self._open_group, reuse_workers=reuse_workers)
        self._is_spoiled = False  # this process must train no further trial
        self._next: TrialConfig | None = None  # it begins with the next step
        self._gauge = Gauge(
            "adaptune_objective",
            description="Objective of the search",
            tag_keys=("search", "trial"),
        )
        self._begin(TrialConfig.from_tune(config))

    def step(self) -> dict[str, object]:
        """Train one epoch.

        Raises:
            RuntimeError: the process has to end; Tune restarts the trial in another one.
        """
        if self._is_spoiled:
            raise RuntimeError("the trial before left its process unfit for another trial")
        try:
            self._begin_next()
            return self._next_result().to_tune()
        except Exception as error:
            cause = cause_of(error)
            if cause == self._config.death and self._epoch <= self._config.death_epoch:
                # The trial's last process died of it as well, at the same epoch.
                return self._crash_result(cause).to_tune()
            raise

    def reset_config(self, new_config: dict[str, object]) -> bool:
        """Note the next trial of the same worker group, which begins with its first step.

        Tune fails a trial if this raises an error, and starts another process if `step` does.
        """
        self._next = TrialConfig.from_tune(new_config)
        return True

    def cleanup(self) -> None:
        """Shut the worker group down."""
        self._runner.close()

    def _begin_next(self) -> None:
        """Stop the last trial and begin the next one, if there is one that has not begun."""
        config, self._next = self._next, None
        if config is not None:
            self._runner.end_trial()
            self._begin(config)

    def _begin(self, config: TrialConfig) -> None:
        context = self._context
        self._config = config
        self._epoch = 0  # last one that this process has reported
        self._job = make_job(
            context.spec, config.number, config.values, context.folder, context.inputs
        )
        self._runner.begin(self._job)

    def _next_result(self) -> TrialResult:
        try:
            record = self._runner.next_record()
        except WorkersNotStartedError as error:
            return TrialResult(requeue_reason=str(error), done=True)
        except TrialCrashedError as error:
            return self._crash_result(str(error))
        except (NonFiniteLossError, CheckpointError, WorkersLostError) as error:
            return TrialResult(error=f"{type(error).__name__}: {error}", done=True)
        if record is None:
            return TrialResult(done=True)
        self._epoch = record.epoch
        objective = record.score(self._job.metric)[0]
        tags = {"search": self._context.spec.name, "trial": str(self._job.number)}
        self._gauge.set(objective, tags=tags)
        return TrialResult(record=record, objective=objective, done=self._is_done(record))

    def _crash_result(self, cause: str) -> TrialResult:
        """End a trial whose error is bound to happen again, and the processes that met it."""
        self._is_spoiled = self._context.execution == "in_process"
        try:
            self._runner.drop(cause)
        except RuntimeError:
            log.exception("the workers of trial %s did not end", self._job.number)
            self._is_spoiled = True
        return TrialResult(error=cause, done=True)

    def _is_done(self, record: EpochRecord) -> bool:
        spec = self._context.spec
        if spec.search.health == "stop" and record.unhealthy is not None:
            return True
        return bool(record.epoch >= spec.epochs)

    def _open_group(self, index: int) -> TrialRunner:
        context = self._context
        actor_id = ray.get_runtime_context().get_actor_id() or ""
        settings = RunnerSettings(
            name=f"{context.spec.name}-workers-{os.getpid()}-{actor_id[:6]}-{index}",
            resources=context.resources,
            scratch=context.folder.scratch("train"),
            epoch_timeout_s=context.spec.resources.epoch_timeout_s,
        )
        return open_runner(context.execution, settings, context.shared)
