"""Placement of trials on a cluster, computed before anything starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from adaptune.errors import ResourceError, SpecError
from adaptune.spec.resources import Execution, ResourcesSpec, WorkerResources
from adaptune.spec.schema import SearchSpec

NodeResources = Mapping[str, float]  # by Ray's names
_MAX_CPU_WORKERS = 2  # per trial
_MAX_TASK_WORKERS = 8  # more threads gain little for small networks
_ROUNDING = 1e-9  # ten tenths of a GPU are a whole one


@dataclass(frozen=True)
class PlacementPlan:
    """Placement of a search's trials on a cluster.

    Attributes:
        execution: kind of trial runner.
        resources: resources of one trial's workers.
        max_concurrent_trials: number of trials, or of groups that share a GAN, that run at the same
            time, at the start.
        trial_limit: upper bound of `max_concurrent_trials`, however many nodes join.
        task_cpus: CPUs that a task other than a trial may take on one node.
    """

    execution: Execution
    resources: WorkerResources
    max_concurrent_trials: int
    trial_limit: int
    task_cpus: int

    def with_groups(self, count: int) -> PlacementPlan:
        """Return the plan of a search of so many groups; no more run at a time."""
        return replace(
            self,
            max_concurrent_trials=min(self.max_concurrent_trials, count),
            trial_limit=min(self.trial_limit, count),
        )

    def describe(self, classifiers_per_gan: int | Literal["auto"] = 1) -> str:
        """Return the plan in one line.

        Args:
            classifiers_per_gan: `search.classifiers_per_gan`.
        """
        at_once = self.max_concurrent_trials
        if classifiers_per_gan == "auto":
            trials = f"{at_once} trial(s), or groups of trials that share a GAN, at a time, each"
        elif classifiers_per_gan == 1:
            trials = f"{at_once} trial(s) at a time, each"
        else:
            trials = (
                f"{at_once} group(s) at a time, each of up to {classifiers_per_gan} trials that"
                " share a GAN,"
            )
        resources = self.resources
        kind = "Ray Train" if self.execution == "ray_train" else "in-process"
        text = (
            f"{trials} on {resources.workers} {kind} worker(s) of {resources.cpus_per_worker} CPU"
        )
        if resources.gpus_per_worker:
            text += f", {resources.gpus_per_worker:g} GPU"
        return text

    def capacity(self, nodes: Sequence[NodeResources]) -> int:
        """Return how many trials fit on these nodes at the same time; 0 if not even one."""
        slots = _slots_of_nodes(nodes, self.resources)
        return min(max_concurrent_trials(slots, self.resources), self.trial_limit)


def plan_placement(spec: SearchSpec, nodes: Sequence[NodeResources]) -> PlacementPlan:
    """Fit trials to the nodes of a cluster; a worker cannot be split over two nodes.

    Args:
        nodes: resources of the nodes that trials may run on.

    Raises:
        ResourceError: not even one trial fits; the message has the calculation.
        SpecError: the requested resources contradict each other.
    """
    requested = spec.resources
    resources = _resolve(spec, nodes)
    execution = spec.execution
    _check(resources, execution, spec)
    slots = _slots_of_nodes(nodes, resources)
    fitting = max_concurrent_trials(slots, resources)
    if fitting < 1:
        raise ResourceError(explain_shortfall(resources, nodes, sum(slots)))
    limit = spec.planned_groups
    if requested.max_concurrent != "auto":
        limit = min(limit, requested.max_concurrent)
    return PlacementPlan(
        execution=execution,
        resources=resources,
        max_concurrent_trials=min(fitting, limit),
        trial_limit=limit,
        task_cpus=_task_workers(resources, max(slots)) * resources.cpus_per_worker,
    )


def minimal_resources(requested: ResourcesSpec) -> WorkerResources:
    """Return the least that a trial needs, with `auto` as one worker and no GPU."""
    workers = 1 if requested.workers_per_trial == "auto" else requested.workers_per_trial
    gpus = 0.0 if requested.gpus_per_worker == "auto" else requested.gpus_per_worker
    return _worker_resources(requested, workers, gpus)


def worker_slots(node: NodeResources, cpus: float, gpus: float) -> int:
    """Return how many workers with these CPUs and GPUs fit on a node."""
    slots = []
    for name, amount in (("CPU", cpus), ("GPU", gpus)):
        if amount:
            slots.append(int(node.get(name, 0.0) / amount + _ROUNDING))
    return min(slots)


def max_concurrent_trials(slots: Sequence[int], resources: WorkerResources) -> int:
    """Return how many trials fit at the same time.

    Args:
        slots: number of workers that each node holds.
    """
    workers = resources.workers
    if resources.placement_strategy == "STRICT_PACK":  # all workers of a trial on one node
        return sum(count // workers for count in slots)
    trials = sum(slots) // workers
    if resources.placement_strategy == "STRICT_SPREAD":  # each worker of a trial on its own node
        while trials and sum(min(count, trials) for count in slots) < trials * workers:
            trials -= 1
    return trials


def explain_shortfall(
    resources: WorkerResources, nodes: Sequence[NodeResources], slots: int
) -> str:
    """Return the calculation by which not even one trial fits, with what to change.

    Args:
        slots: number of workers that all nodes hold together.
    """
    workers, cpus, gpus = resources.workers, resources.cpus_per_worker, resources.gpus_per_worker
    placement = ""
    if resources.placement_strategy != "PACK":
        placement = f", placed {resources.placement_strategy}"
    return (
        f"a trial needs {workers} worker(s) × {cpus} CPU = {workers * cpus} CPU and"
        f" {workers} × {gpus:g} GPU = {workers * gpus:g} GPU{placement}, but the cluster has"
        f" {_describe_nodes(nodes)}{_describe_selection(resources)}, room for {slots} worker(s):"
        " lower resources.workers_per_trial, resources.cpus_per_worker or"
        " resources.gpus_per_worker, or add nodes"
    )


def _describe_nodes(nodes: Sequence[NodeResources]) -> str:
    kinds = Counter(
        f"{node.get('CPU', 0.0):g} CPU and {node.get('GPU', 0.0):g} GPU" for node in nodes
    )
    return ", ".join(f"{count} node(s) of {kind}" for kind, count in kinds.items()) or "no node"


def _describe_selection(resources: WorkerResources) -> str:
    conditions = [f"{key}={value}" for key, value in (resources.label_selector or {}).items()]
    if resources.accelerator_type is not None:
        conditions.append(f"accelerator_type {resources.accelerator_type}")
    if not conditions:
        return ""
    return f" with {', '.join(conditions)}"


def _resolve(spec: SearchSpec, nodes: Sequence[NodeResources]) -> WorkerResources:
    requested = spec.resources
    gpus = requested.gpus_per_worker
    if gpus == "auto":
        gpus = 1.0 if any(node.get("GPU", 0.0) >= 1 for node in nodes) else 0.0
    workers = requested.workers_per_trial
    if workers == "auto":
        slots = [worker_slots(node, requested.cpus_per_worker, gpus) for node in nodes]
        is_single = spec.execution == "in_process" or spec.has_cuda_graph
        workers = 1 if is_single else _auto_workers(slots, gpus, spec)
    return _worker_resources(requested, workers, gpus)


def _worker_resources(requested: ResourcesSpec, workers: int, gpus: float) -> WorkerResources:
    return WorkerResources(
        workers=workers,
        cpus_per_worker=requested.cpus_per_worker,
        gpus_per_worker=gpus,
        accelerator_type=requested.accelerator_type,
        label_selector=requested.label_selector,
        placement_strategy=requested.placement_strategy,
    )


def _auto_workers(slots: Sequence[int], gpus: float, spec: SearchSpec) -> int:
    """Return one worker per trial, or more if the trials leave slots empty.

    Trials side by side are faster than workers that average gradients. A trial gets at most the
    slots of the smallest node, or two on CPUs.
    """
    if 0 < gpus < 1:
        return 1
    trials = spec.planned_groups
    if spec.resources.max_concurrent != "auto":
        trials = min(trials, spec.resources.max_concurrent)
    smallest_node = min((count for count in slots if count), default=1)
    most = min(sum(slots) // trials, smallest_node if gpus else _MAX_CPU_WORKERS)
    for workers in range(most, 1, -1):
        if all(size % (workers * spec.accumulate) == 0 for size in spec.batch_sizes):
            return workers
    return 1


def _task_workers(resources: WorkerResources, slots: int) -> int:
    """Return the workers whose CPUs a task other than a trial takes on a node, alone there.

    Args:
        slots: number of workers that the node holds.
    """
    if resources.gpus_per_worker:
        return min(resources.workers, slots)
    return min(_MAX_TASK_WORKERS, slots)


def _check(resources: WorkerResources, execution: Execution, spec: SearchSpec) -> None:
    workers, gpus = resources.workers, resources.gpus_per_worker
    if workers > 1 and 0 < gpus < 1 and resources.placement_strategy != "STRICT_SPREAD":
        raise SpecError(
            f"resources.gpus_per_worker {gpus:g}: NCCL does not let two workers of a trial share a"
            " GPU; use resources.workers_per_trial=1 for several trials per GPU"
        )
    if execution == "in_process" and workers > 1:
        raise SpecError(
            f"execution in_process runs one worker per trial, not {workers}: add"
            " --set resources.workers_per_trial=1, or use execution ray_train"
        )
    if spec.has_cuda_graph:
        _check_cuda_graph(resources)
    for size in spec.batch_sizes:
        if size % (workers * spec.accumulate):
            parts = ""
            if spec.accumulate > 1:
                parts = f" with {spec.accumulate} parts each (training.accumulate)"
            raise SpecError(
                f"training.batch_size {size} cannot be split evenly among {workers}"
                f" worker(s){parts}"
            )


def _check_cuda_graph(resources: WorkerResources) -> None:
    if resources.workers > 1:
        raise SpecError(
            "training.cuda_graph: on records the updates of one worker, and a trial has"
            f" {resources.workers}, which exchange their gradients: add"
            " --set resources.workers_per_trial=1, or --set training.cuda_graph=off"
        )
    if not resources.gpus_per_worker:
        raise SpecError(
            "training.cuda_graph: on needs a GPU, and a trial gets none: set"
            " resources.gpus_per_worker, or add --set training.cuda_graph=off"
        )


def _slots_of_nodes(nodes: Sequence[NodeResources], resources: WorkerResources) -> list[int]:
    cpus, gpus = resources.cpus_per_worker, resources.gpus_per_worker
    return [worker_slots(node, cpus, gpus) for node in nodes]
