"""A trial as Ray Tune sees it: an actor that owns a lane and takes one trial after another."""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

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
from adaptune.execution.base import RunnerSettings, TrialJob, TrialRunner
from adaptune.execution.open_runner import Execution, open_runner
from adaptune.results.folder import ResultsFolder
from adaptune.search.study import OBJECTIVE
from adaptune.search.trial import make_job
from adaptune.spec.schema import SearchSpec
from adaptune.training.guide import score
from adaptune.training.loop import Record

log = logging.getLogger(__name__)
MAX_WORKER_GROUPS_PER_TRIAL = 3


@dataclass(frozen=True)
class TrialContext:
    """What all trials of a search share."""

    spec: SearchSpec
    folder: ResultsFolder
    execution: Execution
    workers: int
    cpus_per_worker: int
    gpus_per_worker: float
    shared: list[Any]  # object references: TrialData, the weights of f_S


class TrialTrainable(tune.Trainable):  # type: ignore[misc]  # Ray is untyped
    """One Tune step is one epoch. A failed trial is a result with `error`, so that its lane lives on.

    A trial for which no lane would start is a result with `requeued`: it goes on when there is room.
    """

    def setup(self, config: dict[str, Any], context: TrialContext) -> None:
        self._context = context
        self._lane: TrialRunner | None = None
        self._lanes_opened = 0
        self._gauge = Gauge(
            "adaptune_guide", description="What guides the search", tag_keys=("search", "trial")
        )
        self._begin(config)

    def step(self) -> dict[str, Any]:
        try:
            record = self._next_record()
        except WorkersNotStartedError as error:
            return {"requeued": str(error), "done": True}
        except (NonFiniteLossError, CheckpointError, WorkersLostError) as error:
            return {"error": f"{type(error).__name__}: {error}", "done": True}
        if record is None:
            return {"done": True}
        # Of `ensemble` only the driver knows the value: see StudyScheduler.
        value = score(record, self._job.metric)[0]
        self._gauge.set(
            value, tags={"search": self._context.spec.name, "trial": str(self._job.number)}
        )
        done = record["epoch"] >= self._context.spec.training.epochs
        done |= self._context.spec.search.health == "stop" and record.get("sick") is not None
        # Tune would flatten a mapping.
        return {
            "record": json.dumps(record),
            "epoch": record["epoch"],
            OBJECTIVE: value,
            "done": done,
        }

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        if self._lane is not None:
            try:
                self._lane.stop()
                if self._context.spec.resources.fresh_workers:
                    self._lane.close()
                    self._lane = None
            except WorkersLostError as error:
                self._drop_lane(error)
        self._begin(new_config)
        return True

    def cleanup(self) -> None:
        if self._lane is not None:
            with suppress(WorkersLostError):
                self._lane.stop()
            self._lane.close()

    def _begin(self, config: dict[str, Any]) -> None:
        self._job: TrialJob = make_job(
            self._context.spec, config["number"], config["values"], self._context.folder
        )
        self._breaks = 0
        if self._lane is not None:
            try:
                self._lane.begin(self._job)
            except WorkersLostError as error:
                self._drop_lane(error)

    def _next_record(self) -> Record | None:
        """The next epoch's; where the lane breaks, from a new lane, which goes on from the last checkpoint."""
        while True:
            try:
                return self._opened_lane().next_record()
            except WorkersNotStartedError as error:
                self._drop_lane(error)
                raise
            except WorkersLostError as error:
                self._drop_lane(error)
                self._breaks += not isinstance(error, PreemptedError)
                if self._breaks == MAX_WORKER_GROUPS_PER_TRIAL:
                    raise

    def _opened_lane(self) -> TrialRunner:
        if self._lane is None:
            context = self._context
            actor = ray.get_runtime_context().get_actor_id() or ""
            settings = RunnerSettings(
                name=f"{context.spec.name}-lane-{os.getpid()}-{actor[:6]}-{self._lanes_opened}",
                workers=context.workers,
                cpus_per_worker=context.cpus_per_worker,
                gpus_per_worker=context.gpus_per_worker,
                accelerator_type=context.spec.resources.accelerator_type,
                label_selector=context.spec.resources.label_selector,
                placement_strategy=context.spec.resources.placement_strategy,
                scratch=context.folder.scratch("train"),
            )
            self._lanes_opened += 1
            self._lane = open_runner(context.execution, settings, context.shared)
            self._lane.begin(self._job)
        return self._lane

    def _drop_lane(self, error: WorkersLostError) -> None:
        log.warning("trial %s: lane lost: %s", self._job.number, error)
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.close()
