"""Whether this machine, and each node of a cluster, is fit for a search."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import ray
import torch
from ray._private.utils import estimate_available_memory, get_num_cpus, get_shared_memory_bytes
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from rich.console import Console

from adaptune.cluster.connection import trial_nodes
from adaptune.cluster.node_probe import PREFIX, NodeProbe, probe_node, versions
from adaptune.cluster.placement import PlacementPlan, worker_slots
from adaptune.errors import ResourceError
from adaptune.spec.schema import ResourcesSpec

GB = 1e9
MEMORY_GB = 6  # the default search on two CPUs takes 5.2
SHARED_GB = 1  # Ray keeps the images there; a container has 0.06 unless told
DISK_GB = 5
ANSWER_S = 120.0  # a node that has just joined starts its first process slowly
STYLES = {"ok": "green", "warning": "yellow", "fault": "red"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. A fault keeps a search from running, or loses trials; a warning may."""

    level: Literal["ok", "warning", "fault"]
    said: str


def check_nodes(
    folder: Path | None, wish: ResourcesSpec, plan: PlacementPlan, console: Console
) -> None:
    """Say what is amiss with the nodes that the plan's trials may run on, lest a night pass before it shows.

    Args:
        folder: see `nodes`.

    Raises:
        ResourceError: trials would be lost.
    """
    found = list(nodes(folder, wish, plan))
    if any(finding.level == "fault" for finding in found):
        raise ResourceError("\n".join(finding.said for finding in found if finding.level != "ok"))
    for finding in found:
        if finding.level == "warning":
            console.print(finding.said, style=STYLES["warning"], highlight=False, soft_wrap=True)


def machine(out: Path) -> Iterator[Finding]:
    """Look at this machine.

    Args:
        out: where results would go.
    """
    yield Finding("ok", ", ".join(f"{name} {number}" for name, number in versions().items()))
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    yield Finding("ok", f"{get_num_cpus():g} CPUs; GPUs: {', '.join(gpus) or 'none'}")
    if not gpus and Path("/dev/nvidiactl").exists():
        yield Finding(
            "warning", "there is an NVIDIA driver, but torch sees no GPU: is it a build for CPUs?"
        )
    yield _room(
        estimate_available_memory(), MEMORY_GB, "memory", "take a smaller training.batch_size"
    )
    if sys.platform == "linux":
        advice = "a container takes --shm-size=4g"
        yield _room(get_shared_memory_bytes(), SHARED_GB, "shared memory (/dev/shm)", advice)
    if not os.access(out, os.W_OK):
        yield Finding("fault", f"{out} cannot be written: give another folder (--out, storage.out)")
    else:
        yield _room(
            shutil.disk_usage(out).free,
            DISK_GB,
            f"disk at {out}",
            "see storage.checkpoint_budget_gb",
        )


def _room(has_b: float, needs_gb: float, what: str, advice: str) -> Finding:
    said = f"{has_b / GB:.1f} GB of {what} free"
    if has_b >= needs_gb * GB:
        return Finding("ok", said)
    return Finding("warning", f"{said}, less than {needs_gb:g}: {advice}")


def nodes(
    folder: Path | None, wish: ResourcesSpec, plan: PlacementPlan | None = None
) -> Iterator[Finding]:
    """Look at the nodes of the cluster that this process is connected to.

    Args:
        folder: of the results, as this process sees it; None: the nodes need not see it.
        wish, plan: of the search whose trials are to run there; without a plan all nodes with CPUs are looked at.
    """
    try:
        with _mark(folder) as mark:
            looks = {node["NodeID"]: _look_on(node, mark, plan) for node in _fit(wish, plan)}
            pending = list(looks.values())
            while pending and (answered := ray.wait(pending, timeout=ANSWER_S))[0]:
                pending = answered[1]
            seen = {node_id: _sight(look) for node_id, look in looks.items()}
    except OSError as error:
        yield Finding("fault", f"{folder} cannot be written: {error.strerror}")
        return
    living = [
        node for node in _fit(wish, plan) if node["NodeID"] in seen
    ]  # one may be lost at any time
    if not living:
        yield Finding("warning", "the cluster has no node with room for a worker now")
    elif all(isinstance(seen[node["NodeID"]], RayError) for node in living):
        yield Finding("fault", "on no node of the cluster can a process of ours start")
    for node in living:
        yield from _judge(node, seen[node["NodeID"]], folder)


def _judge(
    node: dict[str, Any], seen: NodeProbe | RayError | None, folder: Path | None
) -> Iterator[Finding]:
    name, resources = f"node {node['NodeManagerAddress']}", node["Resources"]
    if seen is None:
        yield Finding("warning", f"{name} does not answer for {ANSWER_S:g} s")
        return
    if isinstance(seen, RayError):
        yield Finding(
            "warning", f"{name}: is adaptune installed there? {str(seen).strip().splitlines()[-1]}"
        )
        return
    yield Finding("ok", f"{name}: {resources['CPU']:g} CPUs, {resources.get('GPU', 0):g} GPUs")
    if seen.storage_error:
        yield Finding(
            "fault",
            f"{name} cannot write to {folder} ({seen.storage_error}): put the results where all nodes can (--out,"
            " storage.out), or name an object store (storage.remote)",
        )
    if seen.torch_for_gpus is False:
        yield Finding(
            "fault", f"{name} has a GPU, but a torch for CPUs: install one for GPUs there"
        )
    for package, here in versions().items():
        if (there := seen.versions[package]) != here:
            yield Finding("warning", f"{name} has {package} {there}, this machine {here}")


@contextmanager
def _mark(folder: Path | None) -> Iterator[str | None]:
    """A file in the folder, by which other nodes know it."""
    if folder is None:
        yield None
        return
    with tempfile.NamedTemporaryFile(dir=folder, prefix=PREFIX) as mark:
        yield mark.name


def _fit(wish: ResourcesSpec, plan: PlacementPlan | None) -> list[dict[str, Any]]:
    """The nodes that have room for a worker, or at least a CPU."""
    cpus, gpus = (1, 0.0) if plan is None else (plan.cpus_per_worker, plan.gpus_per_worker)
    return [node for node in trial_nodes(wish) if worker_slots(node["Resources"], cpus, gpus)]


def _look_on(node: dict[str, Any], mark: str | None, plan: PlacementPlan | None) -> Any:
    there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    task = ray.remote(probe_node).options(num_cpus=0, max_retries=0, scheduling_strategy=there)
    gpus_used = plan is None or plan.gpus_per_worker > 0
    return task.remote(mark, ask_torch=gpus_used and bool(node["Resources"].get("GPU")))


def _sight(look: Any) -> NodeProbe | RayError | None:
    """What was seen, or why nothing was; None: it is not over."""
    try:
        seen: NodeProbe = ray.get(look, timeout=0)
    except GetTimeoutError:
        ray.cancel(look, force=True)
        return None
    except RayError as error:
        return error
    return seen
