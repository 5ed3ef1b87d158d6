"""Choice of the trial runner."""

from __future__ import annotations

from adaptune.execution.base import RunnerSettings, SharedRefs, TrialRunner
from adaptune.execution.in_process import InProcessRunner
from adaptune.execution.ray_train import RayTrainRunner
from adaptune.spec.resources import Execution


def open_runner(execution: Execution, settings: RunnerSettings, shared: SharedRefs) -> TrialRunner:
    """Start a trial runner inside a Ray actor or task."""
    if execution == "ray_train":
        return RayTrainRunner(settings, shared)
    data, source_weights = shared.get()
    return InProcessRunner(settings, data, source_weights)
