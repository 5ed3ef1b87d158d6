"""The choice of the number of trials that share a GAN, from measurements of one and of several.

A group then costs at most about twice as much as one trial.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from rich.filesize import decimal

from adaptune.cluster.placement import PlacementPlan
from adaptune.execution.cause import is_out_of_memory
from adaptune.spec.schema import SearchSpec
from adaptune.study.group_size import MAX_GROUP_SIZE, GroupSize
from adaptune.workflows.calibration import MeasuredWorker, worker_memory_bytes
from adaptune.workflows.pace import epoch_seconds

_MEASURED = (4, 2)  # trials of the group that is measured; the second one if memory runs out


@dataclass(frozen=True)
class MeasuredGroups:
    """A worker of a single trial, and one of a group of several trials.

    Attributes:
        single: the worker of a single trial.
        group: the worker of the group.
        trials: number of trials of the group.
    """

    single: MeasuredWorker
    group: MeasuredWorker
    trials: int

    def worker(self, trials: int) -> MeasuredWorker:
        """Return a worker of a group of another size: each further trial adds the same."""
        single = self.single.calibration
        group = self.group.calibration

        def at(of_one: float, of_group: float) -> float:
            return of_one + (trials - 1) * (of_group - of_one) / (self.trials - 1)

        calibration = replace(
            single,
            step_s=at(single.step_s, group.step_s),
            evaluation_s=at(single.evaluation_s, group.evaluation_s),
            checkpoint_s=at(single.checkpoint_s, group.checkpoint_s),
            memory_bytes=round(at(single.memory_bytes, group.memory_bytes)),
        )
        return replace(self.single, calibration=calibration)


def choose_group_size(
    spec: SearchSpec,
    plan: PlacementPlan,
    sharing: int,
    calibrate: Callable[[int], MeasuredWorker],
) -> tuple[GroupSize, MeasuredWorker]:
    """Return the number of trials that are to share a GAN, and a worker of such a group.

    Args:
        plan: placement of single trials.
        sharing: number of workers on one node.
        calibrate: measures a worker, by the number of trials that share its GAN.
    """
    single = calibrate(1)
    obstacle = spec.sharing_obstacle
    if obstacle is not None:
        return GroupSize(1, obstacle.reason), single
    at_once = plan.max_concurrent_trials
    full = math.ceil(spec.planned_trials / at_once)
    full_reason = f"larger groups would be fewer than the {at_once} that fit at a time"
    if full == 1:
        return GroupSize(1, full_reason), single
    groups = _measure_group(single, calibrate)
    if groups is None:
        return GroupSize(1, "there is too little memory for a second trial"), single
    bounds = [
        _bound_of_time(groups, spec),
        GroupSize(full, full_reason),
        GroupSize(MAX_GROUP_SIZE, f"{MAX_GROUP_SIZE} is the largest number that `auto` takes"),
        _bound_of_memory(groups, plan, sharing),
    ]
    size = min(bounds, key=lambda bound: bound.trials)
    return size, groups.worker(size.trials)


def _measure_group(
    single: MeasuredWorker, calibrate: Callable[[int], MeasuredWorker]
) -> MeasuredGroups | None:
    """Return the measurement of a group of several trials; None if memory is too small for two."""
    for trials in _MEASURED:
        try:
            return MeasuredGroups(single, calibrate(trials), trials)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
    return None


def _bound_of_time(groups: MeasuredGroups, spec: SearchSpec) -> GroupSize:
    """Return the largest group whose epoch takes at most twice as long as that of one trial."""
    single_s = epoch_seconds(spec, groups.single.calibration)
    added_s = epoch_seconds(spec, groups.worker(2).calibration) - single_s
    if added_s <= 0:
        return GroupSize(MAX_GROUP_SIZE, "further trials make an epoch no longer")
    return GroupSize(
        trials=1 + math.floor(single_s / added_s),
        reason=f"an epoch takes {single_s:.2f} s, and each further trial adds {added_s:.2f} s",
    )


def _bound_of_memory(groups: MeasuredGroups, plan: PlacementPlan, sharing: int) -> GroupSize:
    """Return the largest group that a worker has the memory for."""
    single = groups.single.calibration
    added = groups.worker(2).calibration.memory_bytes - single.memory_bytes
    if added <= 0:
        return GroupSize(MAX_GROUP_SIZE, "further trials need no more memory")
    available = worker_memory_bytes(single, plan, sharing)
    room = max(available - single.memory_bytes, 0)
    return GroupSize(
        trials=1 + room // added,
        reason=f"of the {decimal(available)} of memory of a worker, a single trial takes"
        f" {decimal(single.memory_bytes)}, and each further one {decimal(added)}",
    )
