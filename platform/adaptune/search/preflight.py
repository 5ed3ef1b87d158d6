"""What of a search fits on the cluster, worked out before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from adaptune.errors import ResourceError, SpecError
from adaptune.execution.lanes import Execution
from adaptune.spec.schema import SearchSpec

_ROUNDING = 1e-9  # ten tenths of a GPU are a whole one


@dataclass(frozen=True)
class Plan:
    """How trials are laid out on the cluster."""

    execution: Execution
    workers: int  # a trial
    cpus_per_worker: int
    gpus_per_worker: float
    concurrency: int

    def describe(self) -> str:
        gpus = f", {self.gpus_per_worker:g} GPU" if self.gpus_per_worker else ""
        kind = "Ray Train" if self.execution == "ray_train" else "in-process"
        return (
            f"{self.concurrency} trial(s) at a time, each on {self.workers} {kind} worker(s)"
            f" of {self.cpus_per_worker} CPU{gpus}"
        )


def make_plan(spec: SearchSpec, cluster: Mapping[str, float]) -> Plan:
    """Fit the spec's wishes to a cluster's resources (`ray.cluster_resources()`).

    Raises:
        ResourceError: not even one trial fits; the message has the arithmetic.
        SpecError: wishes that contradict each other.
    """
    cpus, gpus = cluster.get("CPU", 0.0), cluster.get("GPU", 0.0)
    wish = spec.resources
    gpus_per_worker = wish.gpus_per_worker
    if gpus_per_worker == "auto":
        gpus_per_worker = 1.0 if gpus >= 1 else 0.0
    workers = _workers(spec, cpus, gpus if gpus_per_worker else 0.0)
    execution: Execution = "ray_train" if workers > 1 or spec.execution == "ray_train" else "in_process"
    if spec.execution != "auto":
        execution = spec.execution
    if execution == "in_process" and workers > 1:
        raise SpecError(
            f"execution in_process runs one worker a trial, not {workers}:"
            " add --set resources.workers_per_trial=1, or take execution ray_train"
        )
    if spec.training.batch_size % workers:
        raise SpecError(f"training.batch_size {spec.training.batch_size} cannot be shared by {workers} workers evenly")
    need = {"CPU": float(workers * wish.cpus_per_worker), "GPU": workers * gpus_per_worker}
    fits = [int(have / need[kind] + _ROUNDING) for kind, have in (("CPU", cpus), ("GPU", gpus)) if need[kind]]
    concurrency = min(fits)
    if concurrency < 1:
        raise ResourceError(
            f"a trial needs {workers} worker(s) × {wish.cpus_per_worker} CPU = {need['CPU']:g} CPU"
            f" and {workers} × {gpus_per_worker:g} GPU = {need['GPU']:g} GPU,"
            f" but the cluster has {cpus:g} CPU and {gpus:g} GPU: lower resources.workers_per_trial,"
            " resources.cpus_per_worker or resources.gpus_per_worker, or join more nodes"
        )
    if wish.max_concurrent != "auto":
        concurrency = min(concurrency, wish.max_concurrent)
    concurrency = min(concurrency, spec.search.trials)
    return Plan(execution, workers, wish.cpus_per_worker, gpus_per_worker, concurrency)


def _workers(spec: SearchSpec, cpus: float, gpus: float) -> int:
    wish = spec.resources.workers_per_trial
    if wish != "auto":
        return wish
    if spec.execution == "in_process" or gpus:
        return 1
    return 2 if cpus >= 2 * spec.resources.cpus_per_worker and spec.training.batch_size % 2 == 0 else 1


def rungs(spec: SearchSpec) -> list[int]:
    """The epochs at which ASHA looks at a trial."""
    scheduler, found = spec.search.scheduler, []
    epoch = float(scheduler.grace_epochs)
    while scheduler.name == "asha" and epoch < spec.training.epochs:
        found.append(ceil(epoch))
        epoch *= scheduler.reduction_factor
    return found
