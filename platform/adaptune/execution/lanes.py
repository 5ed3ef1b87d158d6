"""Opening a lane of either kind."""

from __future__ import annotations

from typing import Any, Literal

import ray

from adaptune.execution.in_process import InProcessLane
from adaptune.execution.job import Lane, LaneSettings
from adaptune.execution.ray_train import RayTrainLane

Execution = Literal["ray_train", "in_process"]


def open_lane(execution: Execution, settings: LaneSettings, shared: list[Any]) -> Lane:
    """Start a lane inside a Ray actor or task.

    Args:
        shared: object references to the TrialData and to the weights of f_S.
    """
    if execution == "ray_train":
        return RayTrainLane(settings, shared)
    return InProcessLane(settings, *ray.get(shared))
