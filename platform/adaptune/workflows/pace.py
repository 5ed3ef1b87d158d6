"""Duration of a search, from a calibration or from the epochs that it has trained."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from adaptune.cluster.placement import PlacementPlan
from adaptune.evaluation.baselines import baseline_stages, task_shape
from adaptune.spec.baselines import baseline_settings
from adaptune.spec.resources import Execution
from adaptune.spec.schema import SearchSpec
from adaptune.study.study import SearchStudy
from adaptune.training.calibration import Calibration
from adaptune.workflows.calibration import MeasuredWorker
from adaptune.workflows.expected_epochs import ExpectedEpochs

# Processes that start one after another before the first update: a trial's own; and with Ray Train
# also its controller and its workers.
_STARTS: Mapping[Execution, int] = {"in_process": 1, "ray_train": 3}
# Seconds per trial for its networks, its first evaluation and its messages; with Ray Train, workers
# wait for each other and for the driver.
_TRIAL_S: Mapping[Execution, float] = {"in_process": 0.5, "ray_train": 1.5}
_COMPILE_S = 60.0  # per start of a worker group, see training.compile
_END_S = 5.0  # export and report
_RESUMED_START_S = 5.0  # of a process, which a resumed search does not measure
# Update of a baseline without a GAN relative to that of a trial, which a resumed search does not
# measure: about a third with the smallest networks, and less with larger generators.
_BASELINE_PART = 0.25


@dataclass(frozen=True)
class Pace:
    """Durations of the parts of a search, in seconds.

    Attributes:
        group_start_s: start of the workers of a trial.
        trial_s: everything of a trial apart from its epochs.
        epoch_s: an epoch with evaluation and checkpoint.
        before_s: everything before the first trial.
        after_s: everything after the last trial.
    """

    group_start_s: float
    trial_s: float
    epoch_s: float
    before_s: float
    after_s: float


def search_seconds(
    spec: SearchSpec, plan: PlacementPlan, epochs: ExpectedEpochs, pace: Pace
) -> float:
    """Return the seconds that a search takes.

    Args:
        epochs: epochs that are to be trained.
    """
    trials_in_sequence = math.ceil(epochs.trials / plan.max_concurrent_trials)
    group_starts = 1 if spec.resources.reuse_workers else trials_in_sequence
    trials_s = group_starts * pace.group_start_s + trials_in_sequence * pace.trial_s
    if not epochs.trials:
        trials_s = 0.0
    return pace.before_s + trials_s + epochs.in_sequence * pace.epoch_s + pace.after_s


def epoch_seconds(spec: SearchSpec, calibration: Calibration) -> float:
    """Return the seconds of an epoch with evaluation and checkpoint."""
    update_s = spec.steps_per_epoch * calibration.step_s
    return update_s + calibration.evaluation_s + calibration.checkpoint_s


def measured_pace(
    spec: SearchSpec,
    plan: PlacementPlan,
    worker: MeasuredWorker,
    *,
    trains_source: bool,
    has_test: bool,
) -> Pace:
    """Return the durations that follow from a calibration.

    Args:
        trains_source: whether f_S is to be trained.
        has_test: whether the target has labels, so that the baselines are trained.
    """
    calibration = worker.calibration
    source_s = spec.trial({}).training.source.steps * calibration.source_step_s
    compile_s = _COMPILE_S if spec.trial({}).training.compile else 0.0
    starts_s = _STARTS[plan.execution] * worker.start_s
    # *Source only* is another classifier if f_S learns the colours of the target.
    plain_s = source_s if has_test and spec.trial({}).training.source.fourier_beta else 0.0
    baselines_s = 0.0
    if has_test:
        evaluation_s = calibration.evaluation_s / spec.search.group_size
        baselines_s = _baselines_s(spec, plan, calibration.baseline_step_s, evaluation_s, source_s)
    return Pace(
        group_start_s=starts_s + calibration.labels_s + compile_s,
        trial_s=_TRIAL_S[plan.execution],
        epoch_s=epoch_seconds(spec, calibration),
        before_s=source_s if trains_source else 0.0,
        after_s=plain_s + baselines_s + _END_S,
    )


def resumed_pace(
    spec: SearchSpec, plan: PlacementPlan, study: SearchStudy, *, has_test: bool
) -> Pace:
    """Return the durations that follow from the epochs of a study, which has at least one.

    Args:
        has_test: whether the target has labels, so that the baselines are trained.
    """
    epochs_s: defaultdict[tuple[int, int], float] = defaultdict(float)  # by group and number
    for trial in study.started_trials():
        for epoch in trial.epochs:
            epochs_s[trial.leader, epoch.number] += epoch.record.active_s
    epoch_s = fmean(epochs_s.values())
    update_s = epoch_s / spec.steps_per_epoch
    baselines_s = 0.0
    if has_test:
        baselines_s = _baselines_s(spec, plan, _BASELINE_PART * update_s, 0.0, 0.0)
    return Pace(
        group_start_s=_STARTS[plan.execution] * _RESUMED_START_S,
        trial_s=_TRIAL_S[plan.execution],
        epoch_s=epoch_s,
        before_s=0.0,
        after_s=baselines_s + _END_S,
    )


def _baselines_s(
    spec: SearchSpec,
    plan: PlacementPlan,
    step_s: float,
    evaluation_s: float,
    target_supervised_s: float,
) -> float:
    """Return the seconds of the baselines, which tasks train side by side.

    Args:
        step_s: seconds of an update of a setting without a GAN.
        evaluation_s: seconds of the evaluation after an epoch.
        target_supervised_s: seconds of the updates of the target-supervised baseline.
    """
    if not spec.evaluation.baselines:
        return 0.0
    epoch_s = spec.steps_per_epoch * step_s + evaluation_s
    settings = len(baseline_settings(spec.trial({})))
    tasks, _ = task_shape(plan)
    longest_s = 0.0
    total_s = 0.0
    for count, epochs in baseline_stages(settings, spec.epochs):
        longest_s += math.ceil(count / tasks) * epochs * epoch_s
        total_s += count * epochs * epoch_s
    if spec.evaluation.baselines is True or ":" not in spec.data.target.domain:
        total_s += target_supervised_s + spec.epochs * evaluation_s
    return max(longest_s, total_s / tasks)
