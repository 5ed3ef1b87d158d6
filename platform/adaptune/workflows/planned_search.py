"""A search whose needs are to be estimated, and the estimate."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rich.filesize import decimal

from adaptune.cluster.placement import NodeResources, PlacementPlan
from adaptune.errors import AdaptuneError, ResourceError, ResultsError, TaskTimeoutError
from adaptune.execution.cause import MEMORY_HINT, cause_of, is_out_of_memory
from adaptune.results.folder import ResultsFolder
from adaptune.spec.schema import SearchSpec
from adaptune.study.group_size import GroupSize
from adaptune.study.storage import read_study
from adaptune.study.study import SearchStudy
from adaptune.text import duration
from adaptune.training.calibration import Calibration
from adaptune.training.calibration_data import DataSizes
from adaptune.workflows.calibration import (
    MAX_COPIES,
    MeasuredWorker,
    worker_memory_bytes,
    workers_per_node,
)
from adaptune.workflows.disk import estimate_disk
from adaptune.workflows.expected_epochs import ExpectedEpochs, expected_epochs
from adaptune.workflows.group_size import choose_group_size
from adaptune.workflows.pace import measured_pace, resumed_pace, search_seconds

log = logging.getLogger(__name__)

NO_CALIBRATION = "no estimate of time and memory: "


@dataclass
class Estimate:
    """The needs of a search.

    Attributes:
        figures: time, memory and disk, as far as they are known.
        warnings: what will not fit, and what is not known.
        group_size: number of trials that share a GAN, if the search chooses it.
        source_classifier_s: seconds that f_S is trained.
    """

    figures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    group_size: GroupSize | None = None
    source_classifier_s: float = 0.0

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
        share_bytes = worker_memory_bytes(calibration, plan, sharing)
        if calibration.memory_bytes > share_bytes:
            self.warnings.append(
                f"a worker needs about {needed} of {kind}, but its share is"
                f" {decimal(share_bytes)}: {MEMORY_HINT}"
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
        group_size: number of trials that share a GAN, if the search has chosen it.
    """

    spec: SearchSpec
    plan: PlacementPlan
    folder: ResultsFolder
    sizes: DataSizes
    has_test: bool
    group_size: GroupSize | None = None

    def with_group_size(self, size: GroupSize) -> PlannedSearch:
        """Return this search with a choice in the place of `search.classifiers_per_gan: auto`."""
        spec = self.spec.with_group_size(size.trials)
        plan = self.plan.with_groups(spec.planned_groups)
        return replace(self, spec=spec, plan=plan, group_size=size)

    def estimate(
        self,
        calibrate: Callable[[SearchSpec, int], MeasuredWorker],
        nodes: Sequence[NodeResources],
        elapsed_s: Callable[[], float],
        *,
        trains_source: bool,
    ) -> Estimate:
        """Return the needs of a search without epochs.

        Args:
            calibrate: measures a worker of a search, in a number of processes at a time.
            nodes: resources of the nodes that trials may run on.
            elapsed_s: returns the seconds before f_S is trained, after the calibration.
            trains_source: whether f_S is to be trained.

        Raises:
            ResourceError: there is too little memory for a trial.
        """
        sharing = workers_per_node(self.plan, nodes)
        copies = min(sharing, MAX_COPIES)

        def measure(trials: int) -> MeasuredWorker:
            return calibrate(self.spec.with_group_size(trials), copies)

        try:
            planned, worker = self._measured(measure, sharing)
        except TaskTimeoutError as error:
            log.warning("the calibration took too long: %s", error)
            return self._without_calibration("the calibration took too long")
        except AdaptuneError:
            raise
        except Exception as error:
            # The search itself shows whether the cause concerns its trials.
            return self._without_calibration(_explain(error))
        pace = measured_pace(
            planned.spec, planned.plan, worker, trains_source=trains_source, has_test=self.has_test
        )
        trials_s = search_seconds(planned.spec, planned.plan, planned._epochs({}), pace)
        estimate = Estimate([f"about {duration(elapsed_s() + trials_s)}"])
        estimate.source_classifier_s = pace.before_s
        estimate.add_memory(planned.plan, worker.calibration, sharing)
        return planned._with_disk(estimate)

    def estimate_rest(self, study: SearchStudy) -> Estimate:
        """Return the needs of what is left of a search, by the epochs that it has trained."""
        return self._with_disk(Estimate([f"about {duration(self.seconds_left(study))} left"]))

    def seconds_left(self, study: SearchStudy) -> float:
        """Return the seconds that are left of a search, by the epochs that it has trained."""
        trained: dict[int, int | None] = {}
        for trial in study.started_trials():
            trained[trial.number] = None if trial.state.is_finished() else trial.last_epoch
        pace = resumed_pace(self.spec, self.plan, study, has_test=self.has_test)
        return search_seconds(self.spec, self.plan, self._epochs(trained), pace)

    def stored_study(self) -> SearchStudy | None:
        """Return the study of the search if it has begun."""
        try:
            return read_study(self.spec, self.folder.journal)
        except ResultsError:
            return None

    def _measured(
        self, calibrate: Callable[[int], MeasuredWorker], sharing: int
    ) -> tuple[PlannedSearch, MeasuredWorker]:
        """Return this search with a number of trials that share a GAN, and its worker."""
        if not self._chooses_group_size:
            return self, calibrate(self.spec.search.group_size)
        size, worker = choose_group_size(self.spec, self.plan, sharing, calibrate)
        return self.with_group_size(size), worker

    def _without_calibration(self, reason: str) -> Estimate:
        planned = self
        if self._chooses_group_size:
            planned = self.with_group_size(GroupSize(1, reason))
        return planned._with_disk(Estimate(warnings=[NO_CALIBRATION + reason]))

    @property
    def _chooses_group_size(self) -> bool:
        return self.spec.search.classifiers_per_gan == "auto"

    def _epochs(self, trained: Mapping[int, int | None]) -> ExpectedEpochs:
        return expected_epochs(self.spec, self.plan.max_concurrent_trials, trained)

    def _with_disk(self, estimate: Estimate) -> Estimate:
        disk = estimate_disk(self.spec, self.plan, self.folder, self.sizes.classes)
        estimate.figures.append(disk.description)
        estimate.warnings += disk.warnings
        estimate.group_size = self.group_size
        return estimate


def _explain(error: Exception) -> str:
    """Return why there is no calibration.

    Raises:
        ResourceError: there is too little memory for a trial.
    """
    if is_out_of_memory(error):
        raise ResourceError(f"there is too little memory for a trial: {cause_of(error)}") from error
    log.error("the calibration failed", exc_info=error)
    return cause_of(error)
