"""Opening a lane of either kind."""

from __future__ import annotations

from typing import Any, Literal

import ray

from adaptune.execution.base import RunnerSettings, TrialRunner
from adaptune.execution.in_process import InProcessRunner
from adaptune.execution.ray_train import RayTrainRunner

Execution = Literal["ray_train", "in_process"]


def open_runner(execution: Execution, settings: RunnerSettings, shared: list[Any]) -> TrialRunner:
    """Start a lane inside a Ray actor or task.

    Args:
        shared: object references to the TrialData and to the weights of f_S.
    """
    if execution == "ray_train":
        return RayTrainRunner(settings, shared)
    return InProcessRunner(settings, *ray.get(shared))
