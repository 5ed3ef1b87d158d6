"""The room that a search will need for checkpoints and sample grids, and the room there is."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from pathlib import Path

from rich.filesize import decimal

from adaptune.cluster.placement import PlacementPlan, minimal_resources
from adaptune.results.folder import ResultsFolder
from adaptune.spec.schema import SearchSpec
from adaptune.training.checkpoint_size import largest_checkpoint_bytes, sample_grid_bytes

_GB = 1e9
_TYPICAL_CLASSES = 10  # their number hardly matters


@dataclass(frozen=True)
class DiskEstimate:
    """The estimated need of a search.

    Attributes:
        description: the need and the free space, in one line.
        warnings: reasons why the search may run out of space.
    """

    description: str
    warnings: list[str]


def estimate_disk(
    spec: SearchSpec,
    plan: PlacementPlan | None,
    folder: ResultsFolder,
    classes: int = _TYPICAL_CLASSES,
) -> DiskEstimate:
    """Estimate the space that a search needs, if no trial is stopped early.

    Args:
        plan: placement of the trials; None assumes one trial at a time.
        folder: results folder, which need not exist. The free space of an object store is unknown.
        classes: number of classes of the images.
    """
    workers = minimal_resources(spec.resources).workers if plan is None else plan.resources.workers
    at_once = 1 if plan is None else plan.max_concurrent_trials
    checkpoint = largest_checkpoint_bytes(spec, classes, workers)
    size = spec.search.group_size
    # The newest ones, the best one of each trial, and the one that is being written.
    running = min(spec.storage.keep_checkpoints + size, spec.epochs) + 1
    groups = spec.planned_groups
    ended = max(groups - at_once, 0) * min(size, spec.epochs)
    grids = groups * spec.epochs * sample_grid_bytes(spec.trial({}))
    total = (at_once * running + ended) * checkpoint + grids
    spared = (at_once * running + 1) * checkpoint  # what the budget never deletes
    budget = math.inf
    if spec.storage.checkpoint_budget_gb is not None:
        budget = spec.storage.checkpoint_budget_gb * _GB
    description = f"{decimal(total)} of disk for checkpoints and sample grids"
    if total > budget:
        description += f", of which storage.checkpoint_budget_gb keeps {decimal(round(budget))}"
    warnings = []
    if spared > budget:
        warnings.append(
            f"storage.checkpoint_budget_gb is too small: {at_once} running trial(s) and the best"
            f" checkpoint need about {decimal(spared)}"
        )
    if folder.remote is not None:
        return DiskEstimate(f"{description} in {folder.remote}", warnings)
    free = free_bytes(folder.path)
    if min(total, max(budget, spared)) > free + used_bytes(folder.path / "trials"):
        warnings.append(
            f"{folder.path} may run out of space: make room, or set storage.checkpoint_budget_gb or"
            " another storage.out"
        )
    return DiskEstimate(f"{description} in {folder.path}, {decimal(free)} free", warnings)


def free_bytes(folder: Path) -> int:
    """Return the free space of the file system that a folder is on, or would be on."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def used_bytes(folder: Path) -> int:
    """Return the size of all files below a folder, which need not exist."""
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file())
