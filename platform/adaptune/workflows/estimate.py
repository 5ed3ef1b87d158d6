"""The estimate of a search's time, memory and disk."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.filesize import decimal

from adaptune.cluster.nodes import ClusterCapacity, node_resources
from adaptune.cluster.placement import NodeResources, PlacementPlan
from adaptune.cluster.source_classifier import is_trained
from adaptune.cluster.tasks import ClusterTasks
from adaptune.data.registry import find_entry
from adaptune.data.splits import OpenSplits, Splits, open_splits
from adaptune.errors import (
    AdaptuneError,
    DataError,
    ResourceError,
    ResultsError,
    TaskTimeoutError,
)
from adaptune.execution.cause import MEMORY_HINT, cause_of, is_out_of_memory
from adaptune.results.folder import ResultsFolder, results_folder
from adaptune.spec.schema import SearchSpec
from adaptune.study.storage import read_study
from adaptune.study.study import SearchStudy
from adaptune.training.calibration import Calibration
from adaptune.training.calibration_data import DataSizes
from adaptune.workflows.calibration import (
    MAX_COPIES,
    MeasuredWorker,
    calibrate_on_cluster,
    calibrate_on_this_machine,
    workers_per_node,
)
from adaptune.workflows.disk import estimate_disk
from adaptune.workflows.expected_epochs import ExpectedEpochs, expected_epochs
from adaptune.workflows.pace import measured_pace, resumed_pace, search_seconds
from adaptune.workflows.preparation import estimate_preparation
from adaptune.workflows.progress import duration

log = logging.getLogger(__name__)

_CLUSTER_START_S = 10.0  # of a local one
_CALIBRATION_TIMEOUT_S = 300.0
_NO_CALIBRATION = "no estimate of time and memory: {}"


@dataclass
class Estimate:
    """The needs of a search.

    Attributes:
        figures: time, memory and disk, as far as they are known.
        warnings: what will not fit, and what is not known.
    """

    figures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def description(self) -> str:
        """The figures in one line."""
        return f"estimate: {', '.join(self.figures)}"

    def add_memory(self, plan: PlacementPlan, calibration: Calibration, sharing: int) -> None:
        """Add the memory of a worker, with a warning if it has less.

        Args:
            sharing: number of workers on one node.
        """
        kind = "GPU memory" if calibration.is_on_gpu else "memory"
        needed = decimal(calibration.memory_bytes)
        self.figures.append(f"{needed} of {kind} per worker")
        share_bytes = calibration.available_bytes / sharing
        if calibration.is_on_gpu:
            share_bytes = calibration.available_bytes * plan.resources.device_share
        if calibration.memory_bytes > share_bytes:
            self.warnings.append(
                f"a worker needs about {needed} of {kind}, but its share is"
                f" {decimal(round(share_bytes))}: {MEMORY_HINT}"
            )


@dataclass(frozen=True)
class PlannedSearch:
    """A search whose needs are to be estimated.

    Attributes:
        spec: spec of the search.
        plan: placement of the trials.
        folder: results folder, which need not exist.
        sizes: sizes of the data.
        has_test: whether the target has labels, so that the baselines are trained.
    """

    spec: SearchSpec
    plan: PlacementPlan
    folder: ResultsFolder
    sizes: DataSizes
    has_test: bool

    def estimate(
        self,
        calibrate: Callable[[int], MeasuredWorker],
        nodes: Sequence[NodeResources],
        elapsed_s: Callable[[], float],
        *,
        trains_source: bool,
    ) -> Estimate:
        """Return the needs of a search without epochs.

        Args:
            calibrate: measures a worker, by a number of processes at a time.
            nodes: resources of the nodes that trials may run on.
            elapsed_s: returns the seconds before f_S is trained, after the calibration.
            trains_source: whether f_S is to be trained.

        Raises:
            ResourceError: there is too little memory for a trial.
        """
        plan = self.plan
        sharing = workers_per_node(plan, nodes)
        estimate = Estimate()
        try:
            worker = calibrate(min(sharing, MAX_COPIES))
        except TaskTimeoutError as error:
            log.warning("the calibration took too long: %s", error)
            estimate.warnings.append(_NO_CALIBRATION.format("the calibration took too long"))
            return self._with_disk(estimate)
        except AdaptuneError:
            raise
        except Exception as error:
            # The search itself shows whether the cause concerns its trials.
            estimate.warnings.append(_explain(error))
            return self._with_disk(estimate)
        pace = measured_pace(
            self.spec, plan, worker, trains_source=trains_source, has_test=self.has_test
        )
        seconds = elapsed_s() + search_seconds(self.spec, plan, self._epochs({}), pace)
        estimate.figures.append(f"about {duration(seconds)}")
        estimate.add_memory(plan, worker.calibration, sharing)
        return self._with_disk(estimate)

    def estimate_rest(self, study: SearchStudy) -> Estimate:
        """Return the needs of what is left of a search, by the epochs that it has trained."""
        trained: dict[int, int | None] = {}
        for trial in study.started_trials():
            trained[trial.number] = None if trial.state.is_finished() else trial.last_epoch
        pace = resumed_pace(self.spec, self.plan, study, has_test=self.has_test)
        seconds = search_seconds(self.spec, self.plan, self._epochs(trained), pace)
        return self._with_disk(Estimate([f"about {duration(seconds)} left"]))

    def study_with_epochs(self) -> SearchStudy | None:
        """Return the study of the search if it has trained an epoch."""
        if not self.folder.has_begun:
            return None
        try:
            study = read_study(self.spec, self.folder.journal)
        except ResultsError:
            return None
        return study if study.slowest_epoch_s() else None

    def _epochs(self, trained: Mapping[int, int | None]) -> ExpectedEpochs:
        return expected_epochs(self.spec, self.plan.max_concurrent_trials, trained)

    def _with_disk(self, estimate: Estimate) -> Estimate:
        disk = estimate_disk(self.spec, self.plan, self.folder, self.sizes.classes)
        estimate.figures.append(disk.description)
        estimate.warnings += disk.warnings
        return estimate


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
    study = planned.study_with_epochs()
    if study is not None:
        return planned.estimate_rest(study)
    trains_source = not is_trained(
        spec.trial({}, seed=spec.seed),
        splits.trial,
        file=folder.source_classifier,
        cache=folder.source_classifiers,
    )

    def calibrate(copies: int) -> MeasuredWorker:
        capacity = ClusterCapacity(plan, spec.resources.wait_for_nodes_s)
        timeout_s = min(spec.resources.epoch_timeout_s, _CALIBRATION_TIMEOUT_S)
        tasks = ClusterTasks(plan, capacity, notify, timeout_s)
        return calibrate_on_cluster(planned.spec, sizes, plan, copies, tasks)

    return planned.estimate(
        calibrate,
        node_resources(spec.resources),
        lambda: time.perf_counter() - start,
        trains_source=trains_source,
    )


def print_estimate(estimate: Estimate, console: Console) -> None:
    """Print an estimate, with a line for each warning."""
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
            reason = _NO_CALIBRATION.format(error)
    if plan is None or reason is not None:
        disk = estimate_disk(spec, plan, folder)
        warnings = [] if reason is None else [reason]
        return Estimate([disk.description], [*warnings, *disk.warnings])
    sizes = DataSizes.of_splits(data.indices, len(data.pair.match.class_names))
    has_test = len(data.indices["target_test"]) > 0
    start = time.perf_counter()
    estimate = PlannedSearch(spec, plan, folder, sizes, has_test).estimate(
        lambda copies: calibrate_on_this_machine(spec, sizes, plan, copies),
        [node],
        lambda: _CLUSTER_START_S + preparation.seconds + time.perf_counter() - start,
        trains_source=True,
    )
    if preparation.nbytes:
        size = decimal(preparation.nbytes)
        estimate.figures.append(f"{size} for prepared images in {data.pair.source.cache}")
    return estimate


def _explain(error: Exception) -> str:
    """Return why there is no calibration.

    Raises:
        ResourceError: there is too little memory for a trial.
    """
    if is_out_of_memory(error):
        raise ResourceError(f"there is too little memory for a trial: {cause_of(error)}") from error
    log.error("the calibration failed", exc_info=error)
    return _NO_CALIBRATION.format(cause_of(error))


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
