"""Calibration of the exported classifier for the target, computed by a Ray task."""

from __future__ import annotations

from adaptune.cluster.tasks import task_device
from adaptune.evaluation.held_out import TrialCheckpoint
from adaptune.search.driver import SearchRun
from adaptune.spec.schema import TrialSpec
from adaptune.training.checkpoint_format import eval_weights
from adaptune.training.state import StateDict
from adaptune.training.temperature import CalibrationData, TargetCalibration, calibrate_weights


def calibrate_best(run: SearchRun, best: TrialCheckpoint) -> TargetCalibration | None:
    """Return the calibration of the best model; None if source_val does not allow one.

    A node for trials computes it: the driver may be a laptop, or a pod of one CPU.
    """
    threads = run.tasks.cpus_per_task
    weights = eval_weights(best.contents, "f_t")
    task = run.tasks.submit(
        "calibration for the target",
        _calibrate,
        best.spec,
        weights,
        CalibrationData.of(run.splits.trial),
        threads,
        cpus=threads,
    )
    [calibration] = run.tasks.results([task])
    return calibration


def _calibrate(
    spec: TrialSpec, weights: StateDict, data: CalibrationData, threads: int
) -> TargetCalibration | None:
    return calibrate_weights(spec, weights, data, task_device(spec, threads))
