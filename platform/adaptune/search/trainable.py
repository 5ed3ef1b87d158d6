"""The Ray Tune trainable: an actor that owns a trial runner and takes one trial after another."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from dataclasses import dataclass

import ray
from ray import tune
from ray.util.metrics import Gauge

from adaptune.errors import (
    CheckpointError,
    NonFiniteLossError,
    PreemptedError,
    WorkersLostError,
    WorkersNotStartedError,
)
from adaptune.execution.base import RunnerSettings, SharedRefs, TrialRunner
from adaptune.execution.open_runner import open_runner
from adaptune.results.folder import ResultsFolder
from adaptune.search.protocol import TrialConfig, TrialResult
from adaptune.search.trial import make_job
from adaptune.spec.resources import Execution, WorkerResources
from adaptune.spec.schema import SearchSpec
from adaptune.training.identity import TrialInputs
from adaptune.training.record import EpochRecord

log = logging.getLogger(__name__)
MAX_WORKER_GROUPS_PER_TRIAL = 3


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
        self._runner: TrialRunner | None = None
        self._runners_opened = 0
        self._gauge = Gauge(
            "adaptune_objective",
            description="Objective of the search",
            tag_keys=("search", "trial"),
        )
        self._begin(TrialConfig.from_tune(config))

    def step(self) -> dict[str, object]:
        """Train one epoch."""
        return self._next_result().to_tune()

    def reset_config(self, new_config: dict[str, object]) -> bool:
        """Stop the trial and begin another one on the same worker group."""
        if self._runner is not None:
            try:
                self._runner.stop()
                if not self._context.spec.resources.reuse_workers:
                    self._runner.close()
                    self._runner = None
            except WorkersLostError as error:
                self._drop_runner(error)
        self._begin(TrialConfig.from_tune(new_config))
        return True

    def cleanup(self) -> None:
        """Shut the worker group down."""
        if self._runner is not None:
            with suppress(WorkersLostError):
                self._runner.stop()
            self._runner.close()

    def _begin(self, config: TrialConfig) -> None:
        context = self._context
        self._job = make_job(
            context.spec, config.number, config.values, context.folder, context.inputs
        )
        self._groups_lost = 0
        if self._runner is not None:
            try:
                self._runner.begin(self._job)
            except WorkersLostError as error:
                self._drop_runner(error)

    def _next_result(self) -> TrialResult:
        try:
            record = self._next_record()
        except WorkersNotStartedError as error:
            return TrialResult(requeue_reason=str(error), done=True)
        except (NonFiniteLossError, CheckpointError, WorkersLostError) as error:
            return TrialResult(error=f"{type(error).__name__}: {error}", done=True)
        if record is None:
            return TrialResult(done=True)
        objective = record.score(self._job.metric)[0]
        tags = {"search": self._context.spec.name, "trial": str(self._job.number)}
        self._gauge.set(objective, tags=tags)
        return TrialResult(record=record, objective=objective, done=self._is_done(record))

    def _is_done(self, record: EpochRecord) -> bool:
        spec = self._context.spec
        if spec.search.health == "stop" and record.unhealthy is not None:
            return True
        return bool(record.epoch >= spec.epochs)

    def _next_record(self) -> EpochRecord | None:
        """Return the next record, from new workers after a loss; they resume from a checkpoint."""
        while True:
            try:
                return self._open_runner().next_record()
            except WorkersNotStartedError as error:
                self._drop_runner(error)
                raise
            except WorkersLostError as error:
                self._drop_runner(error)
                if not isinstance(error, PreemptedError):
                    self._groups_lost += 1
                if self._groups_lost == MAX_WORKER_GROUPS_PER_TRIAL:
                    raise

    def _open_runner(self) -> TrialRunner:
        if self._runner is None:
            context = self._context
            actor_id = ray.get_runtime_context().get_actor_id() or ""
            group = f"{os.getpid()}-{actor_id[:6]}-{self._runners_opened}"
            settings = RunnerSettings(
                name=f"{context.spec.name}-workers-{group}",
                resources=context.resources,
                scratch=context.folder.scratch("train"),
            )
            self._runners_opened += 1
            self._runner = open_runner(context.execution, settings, context.shared)
            self._runner.begin(self._job)
        return self._runner

    def _drop_runner(self, error: WorkersLostError) -> None:
        log.warning("trial %s lost its workers: %s", self._job.number, error)
        runner = self._runner
        self._runner = None
        if runner is not None:
            runner.close()
