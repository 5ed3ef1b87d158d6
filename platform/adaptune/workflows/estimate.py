"""The estimate of a search's time, memory and disk."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.filesize import decimal

from adaptune.cluster.nodes import ClusterCapacity, node_resources
from adaptune.cluster.placement import NodeResources, PlacementPlan
from adaptune.cluster.source_classifier import is_trained
from adaptune.cluster.tasks import ClusterTasks
from adaptune.data.registry import find_entry
from adaptune.data.splits import OpenSplits, Splits, open_splits
from adaptune.errors import DataError
from adaptune.results.folder import ResultsFolder, results_folder
from adaptune.spec.schema import SearchSpec
from adaptune.study.group_size import stored_group_size
from adaptune.training.calibration_data import DataSizes
from adaptune.workflows.calibration import (
    MeasuredWorker,
    calibrate_on_cluster,
    calibrate_on_this_machine,
)
from adaptune.workflows.disk import estimate_disk
from adaptune.workflows.planned_search import NO_CALIBRATION, Estimate, PlannedSearch
from adaptune.workflows.preparation import estimate_preparation

_CLUSTER_START_S = 10.0  # of a local one
_CALIBRATION_TIMEOUT_S = 300.0


def estimate_on_cluster(
    spec: SearchSpec,
    splits: Splits,
    plan: PlacementPlan,
    folder: ResultsFolder,
    start: float,
    notify: Callable[[str], object],
) -> Estimate:
    """Return the needs of a search, or of what is left of one that is resumed.

    Args:
        start: `time.perf_counter()` at the start of this session.
        notify: prints a line for the user.

    Raises:
        ResourceError: there is too little memory for a trial.
        NodesLostError: the cluster had no room for the calibration for too long.
    """
    sizes = DataSizes.of(splits.trial)
    has_test = len(splits.withheld.target_test_labels) > 0
    planned = PlannedSearch(spec, plan, folder, sizes, has_test)
    study = planned.stored_study()
    size = None if study is None else stored_group_size(study)
    if size is not None:
        planned = planned.with_group_size(size)
    if study is not None and study.slowest_epoch_s():
        return planned.estimate_rest(study)
    trains_source = not is_trained(
        spec.trial({}, seed=spec.seed),
        splits.trial,
        file=folder.source_classifier,
        cache=folder.source_classifiers,
    )

    def calibrate(measured: SearchSpec, copies: int) -> MeasuredWorker:
        capacity = ClusterCapacity(plan, spec.resources.wait_for_nodes_s)
        timeout_s = min(spec.resources.epoch_timeout_s, _CALIBRATION_TIMEOUT_S)
        tasks = ClusterTasks(plan, capacity, notify, timeout_s)
        return calibrate_on_cluster(measured, sizes, plan, copies, tasks)

    return planned.estimate(
        calibrate,
        node_resources(spec.resources),
        lambda: time.perf_counter() - start,
        trains_source=trains_source,
    )


def print_estimate(estimate: Estimate, console: Console) -> None:
    """Print an estimate, with a line for each warning."""
    if estimate.group_size is not None:
        size = estimate.group_size.description
        console.print(size, highlight=False, markup=False, soft_wrap=True)
    console.print(estimate.description, highlight=False, markup=False, soft_wrap=True)
    for warning in estimate.warnings:
        console.print(warning, style="yellow", markup=False, soft_wrap=True)


def estimate_before_start(
    spec: SearchSpec, plan: PlacementPlan | None, node: NodeResources
) -> Estimate:
    """Return the needs of a search on this machine; nothing is written.

    Args:
        plan: placement of the trials; None if they do not fit on this machine.
        node: resources of this machine.

    Raises:
        ResourceError: there is too little memory for a trial.
    """
    folder = results_folder(spec.name, spec.storage)
    reason = None
    if plan is not None:
        try:
            data = _open_without_download(spec)
            preparation = estimate_preparation(data.missing_chunks())
        except DataError as error:
            reason = f"{NO_CALIBRATION}{error}"
    if plan is None or reason is not None:
        disk = estimate_disk(spec, plan, folder)
        warnings = [] if reason is None else [reason]
        return Estimate([disk.description], [*warnings, *disk.warnings])
    sizes = DataSizes.of_splits(data.indices, len(data.pair.match.class_names))
    has_test = len(data.indices["target_test"]) > 0
    start = time.perf_counter()
    estimate = PlannedSearch(spec, plan, folder, sizes, has_test).estimate(
        lambda measured, copies: calibrate_on_this_machine(measured, sizes, plan, copies),
        [node],
        lambda: _CLUSTER_START_S + preparation.seconds + time.perf_counter() - start,
        trains_source=True,
    )
    if preparation.nbytes:
        size = decimal(preparation.nbytes)
        estimate.figures.append(f"{size} for prepared images in {data.pair.source.cache}")
    return estimate


def _open_without_download(spec: SearchSpec) -> OpenSplits:
    """Return the data before its images are prepared.

    Raises:
        DataError: the data is not there, or may have to be downloaded.
    """
    names = [spec.data.source.domain, spec.data.target.domain]
    if spec.data.target.test is not None:
        names.append(spec.data.target.test)
    for name in names:
        if find_entry(name).is_downloaded:
            raise DataError(f"{name} is downloaded at the start of the search")
    return open_splits(spec.data, spec.seed)
