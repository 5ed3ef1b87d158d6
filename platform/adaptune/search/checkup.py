"""Whether this machine, and each node of a cluster, is fit for a search."""

from __future__ import annotations

import os
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import ray
import torch
from ray._private.utils import estimate_available_memory, get_num_cpus, get_shared_memory_bytes
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from rich.console import Console

from adaptune.errors import ResourceError
from adaptune.search.cluster import trial_nodes
from adaptune.search.sight import Sight, look_around, versions
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


def check_nodes(folder: Path | None, wish: ResourcesSpec, console: Console) -> None:
    """Say what is amiss with the nodes of this process's cluster, lest a night pass before it shows.

    Args:
        folder, wish: see `nodes`.

    Raises:
        ResourceError: trials would be lost.
    """
    found = list(nodes(folder, wish))
    if faults := [finding.said for finding in found if finding.level == "fault"]:
        raise ResourceError("\n".join(faults))
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
        yield Finding("warning", "there is an NVIDIA driver, but torch sees no GPU: is it a build for CPUs?")
    yield _room(estimate_available_memory(), MEMORY_GB, "memory", "take a smaller training.batch_size")
    if sys.platform == "linux":
        advice = "a container takes --shm-size=4g"
        yield _room(get_shared_memory_bytes(), SHARED_GB, "shared memory (/dev/shm)", advice)
    if not os.access(out, os.W_OK):
        yield Finding("fault", f"{out} cannot be written: give another folder (--out, storage.out)")
    else:
        yield _room(shutil.disk_usage(out).free, DISK_GB, f"disk at {out}", "see storage.checkpoint_budget_gb")


def _room(has_b: float, needs_gb: float, what: str, advice: str) -> Finding:
    said = f"{has_b / GB:.1f} GB of {what} free"
    if has_b >= needs_gb * GB:
        return Finding("ok", said)
    return Finding("warning", f"{said}, less than {needs_gb:g}: {advice}")


def nodes(folder: Path | None, wish: ResourcesSpec) -> Iterator[Finding]:
    """Look at the nodes of the cluster that this process is connected to.

    Args:
        folder: of the results, as this process sees it; None: the nodes need not see it.
        wish: which of the nodes trials may run on.
    """
    with _mark(folder) as mark:
        looks = {node["NodeID"]: _look_on(node, mark) for node in _with_cpus(wish)}
        pending = list(looks.values())
        while pending and (answered := ray.wait(pending, timeout=ANSWER_S))[0]:
            pending = answered[1]
        living = [(node, *_sight(looks[node["NodeID"]])) for node in _with_cpus(wish) if node["NodeID"] in looks]
    if not any(sight for _, sight, _ in living):
        yield Finding("fault", "no node of the cluster with a CPU answers")
    for node, sight, trouble in living:
        yield from _judge(node, sight, trouble, folder)


def _judge(node: dict[str, Any], sight: Sight | None, trouble: str, folder: Path | None) -> Iterator[Finding]:
    name, resources = f"node {node['NodeManagerAddress']}", node["Resources"]
    if sight is None:
        yield Finding("warning", f"{name} does not answer: is adaptune installed there? {trouble}")
        return
    yield Finding("ok", f"{name}: {resources['CPU']:g} CPUs, {resources.get('GPU', 0):g} GPUs")
    if folder is not None and not sight.sees:
        yield Finding(
            "fault",
            f"{name} does not see {folder}: put the results where all nodes see them (--out, storage.out),"
            " or name an object store (storage.remote)",
        )
    if not sight.gpus:
        yield Finding("fault", f"{name} has a GPU, but a torch for CPUs: install one for GPUs there")
    for package, here in versions().items():
        if (there := sight.versions[package]) != here:
            yield Finding("warning", f"{name} has {package} {there}, this machine {here}")


@contextmanager
def _mark(folder: Path | None) -> Iterator[str | None]:
    """A file in the folder, by which other nodes know it."""
    if folder is None:
        yield None
        return
    mark = folder / f".seen-{uuid.uuid4().hex[:8]}"
    mark.touch()
    try:
        yield str(mark)
    finally:
        mark.unlink(missing_ok=True)


def _with_cpus(wish: ResourcesSpec) -> list[dict[str, Any]]:
    return [node for node in trial_nodes(wish) if node["Resources"].get("CPU")]


def _look_on(node: dict[str, Any], mark: str | None) -> Any:
    there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    task = ray.remote(look_around).options(num_cpus=0, max_retries=0, scheduling_strategy=there)
    return task.remote(mark, bool(node["Resources"].get("GPU")))


def _sight(look: Any) -> tuple[Sight | None, str]:
    """What was seen; or why nothing was."""
    try:
        return ray.get(look, timeout=0), ""
    except RayError as error:
        ray.cancel(look, force=True)
        return None, str(error).strip().splitlines()[-1]
