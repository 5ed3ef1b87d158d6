"""What of a search fits on the cluster, worked out before anything starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from adaptune.data.splits import Splits
from adaptune.errors import ResourceError, SpecError
from adaptune.execution.open_runner import Execution
from adaptune.search.samplers import planned_trials
from adaptune.spec.algorithms import Asha, Hyperband
from adaptune.spec.distributions import Choice, Int
from adaptune.spec.schema import ResourcesSpec, SearchSpec
from adaptune.training.guide import TARGET_VAL

_ROUNDING = 1e-9  # ten tenths of a GPU are a whole one


Node = Mapping[str, float]  # its resources, as Ray names them


@dataclass(frozen=True)
class PlacementPlan:
    """How trials are laid out on the cluster."""

    execution: Execution
    workers: int  # a trial
    cpus_per_worker: int
    gpus_per_worker: float
    concurrency: int
    task_cpus: int  # what a task beside the trials, on one node, may take
    accelerator_type: str | None = None
    label_selector: dict[str, str] | None = None

    def describe(self) -> str:
        gpus = f", {self.gpus_per_worker:g} GPU" if self.gpus_per_worker else ""
        kind = "Ray Train" if self.execution == "ray_train" else "in-process"
        return (
            f"{self.concurrency} trial(s) at a time, each on {self.workers} {kind} worker(s)"
            f" of {self.cpus_per_worker} CPU{gpus}"
        )


def plan_placement(spec: SearchSpec, nodes: Sequence[Node], *, own: bool = True) -> PlacementPlan:
    """Fit the spec's wishes to the nodes of a cluster, node by node: a worker cannot be split over two.

    Args:
        nodes: those that trials may run on.
        own: the cluster is this search's alone, on this machine. On others nodes come and go, which Ray Train
            lanes survive at the least cost: `auto` takes these there, also for one worker a trial.

    Raises:
        ResourceError: not even one trial fits; the message has the arithmetic.
        SpecError: wishes that contradict each other.
    """
    wish = spec.resources
    gpus_per_worker = wish.gpus_per_worker
    if gpus_per_worker == "auto":
        gpus_per_worker = 1.0 if any(node.get("GPU", 0.0) >= 1 for node in nodes) else 0.0
    slots = [worker_slots(node, wish.cpus_per_worker, gpus_per_worker) for node in nodes]
    workers = _workers(spec, slots, gpus_per_worker)
    execution: Execution = "ray_train" if workers > 1 or not own else "in_process"
    if spec.execution != "auto":
        execution = spec.execution
    if workers > 1 and 0 < gpus_per_worker < 1 and wish.placement_strategy != "STRICT_SPREAD":
        raise SpecError(
            f"resources.gpus_per_worker {gpus_per_worker:g}: NCCL does not let two workers of a trial share a GPU;"
            " take resources.workers_per_trial=1 for several trials a GPU"
        )
    if execution == "in_process" and workers > 1:
        raise SpecError(
            f"execution in_process runs one worker a trial, not {workers}:"
            " add --set resources.workers_per_trial=1, or take execution ray_train"
        )
    for size in _batch_sizes(spec):
        if size % workers:
            raise SpecError(
                f"training.batch_size {size} cannot be shared by {workers} workers evenly"
            )
    concurrency = _max_concurrent_trials(slots, workers, wish.placement_strategy)
    if concurrency < 1:
        raise ResourceError(_explain_shortfall(spec, nodes, slots, workers, gpus_per_worker))
    if wish.max_concurrent != "auto":
        concurrency = min(concurrency, wish.max_concurrent)
    concurrency = min(concurrency, planned_trials(spec))
    task_cpus = min(workers, max(slots)) * wish.cpus_per_worker
    return PlacementPlan(
        execution,
        workers,
        wish.cpus_per_worker,
        gpus_per_worker,
        concurrency,
        task_cpus,
        wish.accelerator_type,
        wish.label_selector,
    )


def worker_slots(node: Node, cpus: float, gpus: float) -> int:
    """How many workers a node holds."""
    needs = (("CPU", cpus), ("GPU", gpus))
    return min(int(node.get(kind, 0.0) / need + _ROUNDING) for kind, need in needs if need)


def _max_concurrent_trials(slots: Sequence[int], workers: int, strategy: str) -> int:
    """How many trials of so many workers fit on nodes with so many slots, all at once."""
    if strategy == "STRICT_PACK":  # all workers of a trial on one node
        return sum(held // workers for held in slots)
    fits = sum(slots) // workers
    if strategy == "STRICT_SPREAD":  # each worker of a trial on a node of its own
        while fits and sum(min(held, fits) for held in slots) < fits * workers:
            fits -= 1
    return fits


def _workers(spec: SearchSpec, slots: Sequence[int], gpus: float) -> int:
    wish = spec.resources.workers_per_trial
    if wish != "auto":
        return wish
    if spec.execution == "in_process" or 0 < gpus < 1:
        return 1
    # One for each GPU of a node, the smallest node deciding; on CPUs no more than two, and on any nodes.
    most = min((held for held in slots if held), default=1) if gpus else min(sum(slots), 2)
    sizes = _batch_sizes(spec)
    return next(
        count for count in range(max(most, 1), 0, -1) if not any(size % count for size in sizes)
    )


def _batch_sizes(spec: SearchSpec) -> Sequence[int]:
    """All that a trial may have."""
    match spec.space.get("training.batch_size"):
        case Int(low=low, high=high, step=step):
            return range(low, high + 1, step)
        case Choice(values=values):
            return [size for size in values if isinstance(size, int)]
    return [spec.training.batch_size]


def _explain_shortfall(
    spec: SearchSpec, nodes: Sequence[Node], slots: Sequence[int], workers: int, gpus: float
) -> str:
    wish = spec.resources
    cpus = wish.cpus_per_worker
    have = Counter(
        f"{node.get('CPU', 0.0):g} CPU and {node.get('GPU', 0.0):g} GPU" for node in nodes
    )
    listed = ", ".join(f"{count} node(s) of {what}" for what, count in have.items()) or "no node"
    placed = "" if wish.placement_strategy == "PACK" else f", placed {wish.placement_strategy}"
    fit_for_it = [f"{key}={value}" for key, value in (wish.label_selector or {}).items()]
    if wish.accelerator_type is not None:
        fit_for_it.append(f"accelerator_type {wish.accelerator_type}")
    where = f" with {', '.join(fit_for_it)}" if fit_for_it else ""
    return (
        f"a trial needs {workers} worker(s) × {cpus} CPU = {workers * cpus} CPU"
        f" and {workers} × {gpus:g} GPU = {workers * gpus:g} GPU{placed},"
        f" but the cluster has {listed}{where}, room for {sum(slots)} worker(s): lower resources.workers_per_trial,"
        " resources.cpus_per_worker or resources.gpus_per_worker, or join more nodes"
    )


def worker_bundle(wish: ResourcesSpec) -> dict[str, float]:
    """What a worker takes of a node, as Ray names it; `auto` is none."""
    gpus = 0.0 if wish.gpus_per_worker == "auto" else wish.gpus_per_worker
    bundle = {"CPU": float(wish.cpus_per_worker)} | ({"GPU": gpus} if gpus else {})
    if wish.accelerator_type is not None:
        bundle[accelerator(wish.accelerator_type)] = 0.001
    return bundle


def accelerator(name: str) -> str:
    """The resource by which Ray marks the nodes that have such a GPU."""
    return f"accelerator_type:{name}"


def wanted_bundles(wish: ResourcesSpec, trials: int) -> list[dict[str, float]]:
    """What an autoscaler is asked for: a bundle for each worker of the trials that may run at a time of so many."""
    if wish.max_concurrent != "auto":
        trials = min(wish.max_concurrent, trials)
    return (
        [worker_bundle(wish)]
        * (1 if wish.workers_per_trial == "auto" else wish.workers_per_trial)
        * trials
    )


def check_metric(spec: SearchSpec, splits: Splits) -> None:
    """Raise SpecError where the metric needs labels that the target does not have."""
    if spec.search.metric == TARGET_VAL and not splits.trial.target_labelled:
        raise SpecError(
            f"search.metric {TARGET_VAL}: no sample of {spec.data.target.domain} has a label; label some of each class,"
            " or choose by a validator that needs none: --set search.metric=ensemble"
        )


def rungs(spec: SearchSpec) -> list[int]:
    """The epochs at which ASHA looks at a trial; of Hyperband, those of its first bracket."""
    scheduler, found = spec.search.scheduler, list[int]()
    if not isinstance(scheduler, Asha | Hyperband):
        return found
    epoch = float(scheduler.grace_epochs)
    while epoch < spec.training.epochs:
        found.append(ceil(epoch))
        epoch *= scheduler.reduction_factor
    return found
