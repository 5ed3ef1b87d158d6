"""Checks of this machine and of the nodes of a cluster before a search."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import ray
import torch
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from rich.filesize import decimal

from adaptune.cluster.local_resources import (
    free_shared_memory_bytes,
    local_cpus,
)
from adaptune.cluster.node_probe import PROBE_PREFIX, NodeProbe, probe_node, versions
from adaptune.cluster.nodes import ClusterNode, NodeSelector, trial_nodes
from adaptune.cluster.placement import worker_slots
from adaptune.data.memory import available_memory_bytes
from adaptune.errors import ResourceError
from adaptune.spec.resources import WorkerResources

GB = 1e9
MEMORY_GB = 8  # all processes of the default search on two CPUs take 6.9
SHARED_MEMORY_GB = 1  # Ray keeps the images there; containers have 0.06 by default
DISK_GB = 5
PROBE_TIMEOUT_S = 120.0  # a node that has just joined is slow to start its first process


@dataclass(frozen=True)
class Finding:
    """Result of one check.

    Attributes:
        level: a fault prevents a search or loses trials; a warning may do so.
        message: description for the user, with what to do about it.
    """

    level: Literal["ok", "warning", "fault"]
    message: str


def check_machine(out: Path) -> Iterator[Finding]:
    """Check this machine.

    Args:
        out: existing folder in which the results would be stored.
    """
    yield Finding("ok", ", ".join(f"{name} {number}" for name, number in versions().items()))
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    yield Finding("ok", f"{local_cpus()} CPUs; GPUs: {', '.join(gpus) or 'none'}")
    if not gpus and Path("/dev/nvidiactl").exists():
        yield Finding(
            "warning",
            "there is an NVIDIA driver, but torch sees no GPU: install a torch built for CUDA",
        )
    yield _free_space(
        available_memory_bytes(), MEMORY_GB, "memory", "use a smaller training.batch_size"
    )
    if sys.platform == "linux":
        yield _free_space(
            free_shared_memory_bytes(),
            SHARED_MEMORY_GB,
            "shared memory (/dev/shm)",
            "start the container with --shm-size=4g",
        )
    if not os.access(out, os.W_OK):
        yield Finding("fault", f"{out} is not writable: use another folder (--out, storage.out)")
    else:
        free = shutil.disk_usage(out).free
        yield _free_space(free, DISK_GB, f"disk at {out}", "see storage.checkpoint_budget_gb")


def require_healthy_nodes(folder: Path | None, resources: WorkerResources) -> list[Finding]:
    """Fail before the search starts if a node that trials may run on is misconfigured.

    Args:
        folder: see `check_nodes`.

    Returns:
        Warnings.

    Raises:
        ResourceError: trials would be lost.
    """
    problems = []
    for finding in check_nodes(folder, resources, resources):
        if finding.level != "ok":
            problems.append(finding)
    if any(finding.level == "fault" for finding in problems):
        raise ResourceError("\n".join(finding.message for finding in problems))
    return problems


def check_nodes(
    folder: Path | None, selector: NodeSelector, resources: WorkerResources | None = None
) -> Iterator[Finding]:
    """Check the nodes of the cluster that this process is connected to.

    Args:
        folder: results folder as this process sees it; None if the nodes need not see it.
        selector: conditions on the nodes.
        resources: resources of the workers that must fit; None checks all nodes with CPUs.
    """
    try:
        probes = _probe_nodes(folder, _eligible_nodes(selector, resources), resources)
    except OSError as error:
        yield Finding("fault", f"{folder} is not writable: {error.strerror}")
        return
    # A node may be lost at any time: only those that are still alive count.
    living = [node for node in _eligible_nodes(selector, resources) if node.node_id in probes]
    if not living:
        yield Finding("warning", "the cluster has no node with room for a worker now")
    elif all(isinstance(probes[node.node_id], RayError) for node in living):
        yield Finding("fault", "adaptune could not start a process on any node of the cluster")
    for node in living:
        yield from _node_findings(node, probes[node.node_id], folder)


def _free_space(free_bytes: int, needed_gb: float, name: str, advice: str) -> Finding:
    message = f"{decimal(free_bytes)} of {name} free"
    if free_bytes >= needed_gb * GB:
        return Finding("ok", message)
    return Finding("warning", f"{message}, less than {needed_gb:g} GB: {advice}")


def _node_findings(
    node: ClusterNode, probe: NodeProbe | RayError | None, folder: Path | None
) -> Iterator[Finding]:
    name = f"node {node.address}"
    if probe is None:
        yield Finding("warning", f"{name} did not answer within {PROBE_TIMEOUT_S:g} s")
        return
    if isinstance(probe, RayError):
        last_line = str(probe).strip().splitlines()[-1]
        yield Finding("warning", f"{name}: is adaptune installed there? {last_line}")
        return
    cpus, gpus = node.resources["CPU"], node.resources.get("GPU", 0)
    yield Finding("ok", f"{name}: {cpus:g} CPUs, {gpus:g} GPUs")
    if probe.storage_error is not None:
        yield Finding(
            "fault",
            f"{name} cannot write to {folder} ({probe.storage_error}): use a folder that all nodes"
            " can write to (--out, storage.out), or an object store (storage.remote)",
        )
    if probe.torch_supports_cuda is False:
        yield Finding("fault", f"{name} has a GPU but a CPU-only torch: install torch for CUDA")
    for package, version in versions().items():
        node_version = probe.versions[package]
        if node_version != version:
            yield Finding(
                "warning", f"{name} has {package} {node_version}, this machine has {version}"
            )


def _eligible_nodes(selector: NodeSelector, resources: WorkerResources | None) -> list[ClusterNode]:
    """Return the nodes with room for a worker or, without a worker's resources, for a CPU."""
    cpus, gpus = 1, 0.0
    if resources is not None:
        cpus, gpus = resources.cpus_per_worker, resources.gpus_per_worker
    return [node for node in trial_nodes(selector) if worker_slots(node.resources, cpus, gpus)]


def _probe_nodes(
    folder: Path | None, nodes: list[ClusterNode], resources: WorkerResources | None
) -> dict[str, NodeProbe | RayError | None]:
    """Return the probe of each node by its id; see `_probe_result`."""
    uses_gpus = resources is None or resources.gpus_per_worker > 0
    with _probe_file(folder) as probe_file:
        tasks = {}
        for node in nodes:
            check_torch = uses_gpus and bool(node.resources.get("GPU"))
            tasks[node.node_id] = _start_probe(node, probe_file, check_torch=check_torch)
        if tasks:
            ray.wait(list(tasks.values()), num_returns=len(tasks), timeout=PROBE_TIMEOUT_S)
        return {node_id: _probe_result(task) for node_id, task in tasks.items()}


@contextmanager
def _probe_file(folder: Path | None) -> Iterator[str | None]:
    """Yield the path of a temporary file in the folder, which the nodes must see."""
    if folder is None:
        yield None
        return
    with tempfile.NamedTemporaryFile(dir=folder, prefix=PROBE_PREFIX) as file:
        yield file.name


def _start_probe(node: ClusterNode, probe_file: str | None, *, check_torch: bool) -> ray.ObjectRef:
    affinity = NodeAffinitySchedulingStrategy(node.node_id, soft=False)
    task = ray.remote(probe_node).options(num_cpus=0, max_retries=0, scheduling_strategy=affinity)
    return task.remote(probe_file, check_torch=check_torch)


def _probe_result(task: ray.ObjectRef) -> NodeProbe | RayError | None:
    """Return the probe, the error of its process, or None if it has not finished."""
    try:
        probe: NodeProbe = ray.get(task, timeout=0)
    except GetTimeoutError:
        ray.cancel(task, force=True)
        return None
    except RayError as error:
        return error
    return probe
