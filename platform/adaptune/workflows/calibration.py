"""Calibration of a search: its trials are measured in as many processes as will run at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from joblib.externals.loky import get_reusable_executor
from pydantic import ValidationError

from adaptune.cluster.placement import NodeResources, PlacementPlan, worker_slots
from adaptune.cluster.tasks import ClusterTasks, task_device
from adaptune.spec.distributions import Choice, Distribution, Value
from adaptune.spec.schema import SearchSpec, TrialSpec
from adaptune.training.calibration import Calibration, calibrate
from adaptune.training.calibration_data import DataSizes

MAX_COPIES = 4  # more would hardly slow each other down further
_TAKES_MEMORY = ("model.", "training.batch_size")


@dataclass(frozen=True)
class MeasuredWorker:
    """A worker as it was measured.

    Attributes:
        calibration: mean durations, and the largest memory.
        start_s: seconds in which a process starts and imports its libraries.
    """

    calibration: Calibration
    start_s: float


def calibrate_on_cluster(
    spec: SearchSpec, sizes: DataSizes, plan: PlacementPlan, copies: int, tasks: ClusterTasks
) -> MeasuredWorker:
    """Measure the workers of a search as Ray tasks.

    Args:
        copies: number of tasks at a time.

    Raises:
        NodesLostError: the cluster had no room for too long.
        Exception: a task failed, for example for lack of memory.
    """
    cpus = plan.resources.cpus_per_worker

    def measure(trial: TrialSpec) -> list[Calibration]:
        started = []
        for copy in range(copies):
            task = tasks.submit(
                f"calibration {copy}",
                _calibrate,
                trial,
                sizes,
                plan,
                spec.search.group_size,
                cpus=cpus,
                max_retries=0,  # with too little memory, Ray would repeat it for ever
            )
            started.append(task)
        return tasks.results(started)

    return _measure(spec, measure)


def calibrate_on_this_machine(
    spec: SearchSpec, sizes: DataSizes, plan: PlacementPlan, copies: int
) -> MeasuredWorker:
    """Measure the workers of a search in processes of their own; see `calibrate_on_cluster`."""

    threads = str(plan.resources.cpus_per_worker)
    trials = spec.search.group_size

    def measure(trial: TrialSpec) -> list[Calibration]:
        # Libraries such as BLAS have a variable each; torch and OpenMP read this one.
        executor = get_reusable_executor(max_workers=copies, env={"OMP_NUM_THREADS": threads})
        futures = [executor.submit(_calibrate, trial, sizes, plan, trials) for _ in range(copies)]
        return [future.result() for future in futures]

    try:
        return _measure(spec, measure)
    finally:
        get_reusable_executor().shutdown(wait=True)


def workers_per_node(plan: PlacementPlan, nodes: Sequence[NodeResources]) -> int:
    """Return how many workers of a search run on one node at the same time."""
    resources = plan.resources
    slots = [
        worker_slots(node, resources.cpus_per_worker, resources.gpus_per_worker) for node in nodes
    ]
    return max(min(max(slots), plan.max_concurrent_trials * resources.workers), 1)


def worker_memory_bytes(calibration: Calibration, plan: PlacementPlan, sharing: int) -> int:
    """Return the memory that a worker may use: its share of the GPU, or of its node.

    Args:
        sharing: number of workers on one node.
    """
    share = plan.resources.device_share if calibration.is_on_gpu else 1 / sharing
    return round(calibration.available_bytes * share)


def typical_trial(spec: SearchSpec) -> TrialSpec:
    """Return a trial in the middle of the search space."""
    return _trial(spec, {path: _middle(space) for path, space in spec.space.items()})


def largest_trial(spec: SearchSpec) -> TrialSpec:
    """Return a trial with the largest batch and networks of the search space."""
    values = {}
    for path, distribution in spec.space.items():
        values[path] = _middle(distribution)
        if path.startswith(_TAKES_MEMORY):
            values[path] = _largest(distribution)
    return _trial(spec, values)


def _trial(spec: SearchSpec, values: Mapping[str, Value]) -> TrialSpec:
    drawn: dict[str, Value] = {}
    space = spec.space
    for path in sorted(space, key=lambda path: len(space[path].when)):
        if space[path].is_drawn(drawn):
            drawn[path] = values[path]
    try:
        return spec.trial(drawn, seed=spec.seed)
    except ValidationError:  # networks that do not go together
        return spec.trial({}, seed=spec.seed)


def _middle(distribution: Distribution) -> Value:
    values = distribution.grid_values(3)
    return values[len(values) // 2]


def _largest(distribution: Distribution) -> Value:
    values = distribution.bounds()
    numbers = [value for value in values if isinstance(value, int | float)]
    if isinstance(distribution, Choice) and len(numbers) < len(values):
        return values[-1]
    return max(numbers)


def _calibrate(trial: TrialSpec, sizes: DataSizes, plan: PlacementPlan, trials: int) -> Calibration:
    resources = plan.resources
    device = task_device(trial, resources.cpus_per_worker)
    return calibrate(
        trial,
        sizes,
        device,
        workers=resources.workers,
        trials=trials,
        device_share=resources.device_share,
    )


def _measure(spec: SearchSpec, measure: Callable[[TrialSpec], list[Calibration]]) -> MeasuredWorker:
    """Return the durations of a typical trial and the memory of the largest one."""
    trial = typical_trial(spec)
    start = time.perf_counter()
    copies = measure(trial)
    wall_s = time.perf_counter() - start
    start_s = max(wall_s - max(copy.wall_s for copy in copies), 0.0)
    calibration = mean(copies)
    largest = largest_trial(spec)
    if largest != trial:
        memory_bytes = mean(measure(largest)).memory_bytes
        calibration = replace(calibration, memory_bytes=memory_bytes)
    return MeasuredWorker(calibration, start_s)


def mean(copies: Sequence[Calibration]) -> Calibration:
    """Return the mean durations, the largest memory, and the least that is available."""
    return Calibration(
        step_s=fmean(copy.step_s for copy in copies),
        evaluation_s=fmean(copy.evaluation_s for copy in copies),
        checkpoint_s=fmean(copy.checkpoint_s for copy in copies),
        labels_s=fmean(copy.labels_s for copy in copies),
        source_step_s=fmean(copy.source_step_s for copy in copies),
        baseline_step_s=fmean(copy.baseline_step_s for copy in copies),
        memory_bytes=max(copy.memory_bytes for copy in copies),
        available_bytes=min(copy.available_bytes for copy in copies),
        is_on_gpu=copies[0].is_on_gpu,
        wall_s=fmean(copy.wall_s for copy in copies),
    )
