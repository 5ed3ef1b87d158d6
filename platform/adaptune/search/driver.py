"""The driver's side of a search: preparation, and the loop of Ray Tune."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import ray
from ray import tune
from ray.tune.experiment import Trial
from rich.console import Console

from adaptune.cluster.nodes import ClusterCapacity
from adaptune.cluster.placement import PlacementPlan
from adaptune.cluster.source_classifier import source_classifier
from adaptune.cluster.tasks import ClusterTasks, task_timeout_s
from adaptune.data.splits import Splits
from adaptune.execution.base import SharedRefs
from adaptune.execution.watchdog import Watchdog
from adaptune.results.folder import ResultsFolder
from adaptune.results.lease import DriverLease
from adaptune.results.splits_manifest import write_or_verify
from adaptune.results.uploader import Uploader
from adaptune.search.callbacks.checkpoint_retention import CheckpointRetentionCallback
from adaptune.search.callbacks.console import ConsoleCallback
from adaptune.search.callbacks.remote_copy import DriverLeaseCallback, RemoteCopyCallback
from adaptune.search.callbacks.shortage import ShortageCallback
from adaptune.search.callbacks.stop_signal import StopSignalCallback
from adaptune.search.callbacks.tables import TablesCallback
from adaptune.search.callbacks.tensorboard import TensorBoardCallback
from adaptune.search.callbacks.wall_clock import WallClockCallback
from adaptune.search.callbacks.watchdog import WatchdogCallback
from adaptune.search.protocol import GroupConfig
from adaptune.search.scheduler import GroupHooks, StudyScheduler, stop_in_process
from adaptune.search.searcher import StudySearcher
from adaptune.search.trainable import TrialContext, TrialTrainable
from adaptune.spec.schema import SearchSpec
from adaptune.study.budget import SearchBudget
from adaptune.study.checkpoint_deletion import CheckpointDeletion
from adaptune.study.inputs import record_inputs
from adaptune.study.lease import StudyLease
from adaptune.study.objective import Objective
from adaptune.study.storage import open_study
from adaptune.study.study import SearchStudy
from adaptune.study.tables import write_tables
from adaptune.study.trial import TrialPlacement
from adaptune.study.wall_clock import WallClock
from adaptune.study.warm_start import prior_trials
from adaptune.training.identity import TrialInputs, weights_digest
from adaptune.training.state import StateDict

log = logging.getLogger(__name__)
MAX_ACTOR_RESTARTS = 3
CLEANUP_TIMEOUT_S = 60.0
SYNC_TIMEOUT_S = 60  # of Tune's own files, which nobody reads
# A Tune trial with Ray Train workers only directs them: it needs a place on the driver's node, not
# a CPU.
DRIVER_BUNDLE = {"node:__internal_head__": 0.001}


@dataclass(frozen=True)
class SearchRun:
    """A search on the Ray cluster that this process is connected to.

    Attributes:
        spec: spec of the search.
        splits: data, including what is withheld from trials.
        plan: placement of the trials.
        folder: results folder.
        console: where progress is printed.
        study: study of the search.
        clock: running time of all sessions.
        tasks: runs tasks other than trials.
        capacity: number of trials that fit on the cluster now.
        source_weights: weights of f_S.
        source_classifier_s: seconds that f_S took.
        shared: references to what trials read.
        inputs: digests of what trials read.
        lease: leases of this driver.
        callbacks: further callbacks.
        prints_epochs: whether each epoch is printed.
    """

    spec: SearchSpec
    splits: Splits
    plan: PlacementPlan
    folder: ResultsFolder
    console: Console
    study: SearchStudy
    clock: WallClock
    tasks: ClusterTasks
    capacity: ClusterCapacity
    source_weights: StateDict
    source_classifier_s: float
    shared: SharedRefs
    inputs: TrialInputs
    lease: DriverLease = field(default_factory=DriverLease)
    callbacks: Sequence[tune.Callback] = ()
    prints_epochs: bool = True


def prepare_run(
    spec: SearchSpec,
    splits: Splits,
    plan: PlacementPlan,
    folder: ResultsFolder,
    console: Console,
    *,
    start: float,
    lease: DriverLease | None = None,
) -> SearchRun:
    """Store the data where all trials can read it, train f_S and open the study.

    What has changed since the search began is printed.

    Args:
        start: `time.perf_counter()` at the start of this session.
        lease: leases of this driver.

    Raises:
        ResultsError: the search began with other data, or its study cannot be opened.
        NodesLostError: the cluster had no room for the training of f_S for too long.
    """
    lease = lease or DriverLease()
    study = open_study(spec, folder.journal, partial(lease.check_for_writing, StudyLease))
    warning = write_or_verify(splits, folder)  # a folder with splits has a study
    if warning is not None:
        console.print(warning, style="yellow")
    data_ref = ray.put(splits.trial)
    capacity = ClusterCapacity(plan, spec.resources.wait_for_nodes_s)
    tasks = ClusterTasks(plan, capacity, console.print, task_timeout_s(spec))
    source_start = time.perf_counter()
    source_weights = source_classifier(
        spec.trial({}, seed=spec.seed),
        splits.trial,
        data_ref,
        tasks,
        file=folder.source_classifier,
        cache=folder.source_classifiers,
    )
    source_classifier_s = time.perf_counter() - source_start
    console.print(f"source classifier ready after {source_classifier_s:.0f} s", highlight=False)
    return SearchRun(
        spec=spec,
        splits=splits,
        plan=plan,
        folder=folder,
        console=console,
        study=study,
        clock=WallClock(study, start),
        tasks=tasks,
        capacity=capacity,
        source_weights=source_weights,
        source_classifier_s=source_classifier_s,
        shared=SharedRefs(data_ref, ray.put(source_weights)),
        inputs=_note_inputs(study, splits, source_weights, plan, console),
        lease=lease,
    )


def _note_inputs(
    study: SearchStudy,
    splits: Splits,
    source_weights: StateDict,
    plan: PlacementPlan,
    console: Console,
) -> TrialInputs:
    """Return the digests of what trials read; print what has changed since the search began."""
    inputs, changes = record_inputs(
        study,
        data=splits.digest(),
        source_classifier=weights_digest(source_weights),
        device="GPU" if plan.resources.gpus_per_worker else "CPU",
        images=len(splits.trial.target_val_labels),
    )
    for change in changes:
        console.print(change, style="yellow", highlight=False, markup=False)
    return inputs


def run_trials(run: SearchRun, trainable: type[TrialTrainable] = TrialTrainable) -> None:
    """Run the trials that the study lacks, and write the tables.

    Args:
        trainable: class of the trials; benchmarks pass one that does not train.

    Raises:
        WorkersNotStartedError: no trial could train for too long.
    """
    placement = TrialPlacement(run.plan.execution, run.plan.resources.workers)
    spec, study = run.spec, run.study
    objective = Objective(spec.search.metric)
    budget = SearchBudget.of(spec, run.capacity.node_timeout_s)
    searcher = StudySearcher(
        study, objective, budget, run.capacity, prior_trials(spec), placement=placement
    )
    uploader = Uploader(run.folder, run.lease.check)
    deletion = CheckpointDeletion(study, run.folder, spec.storage.checkpoint_budget_gb)
    if searcher.remaining():
        failure = searcher.failure
        hooks = GroupHooks(searcher.end_trials, searcher.note_death, stop_in_process)
        rules = spec.search.scheduler
        scheduler = StudyScheduler(rules, spec.epochs, study, objective, failure, hooks)
        tuner = tune.Tuner(
            _with_resources(run, trainable),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=scheduler,
                num_samples=-1,  # the searcher ends the search
                reuse_actors=True,
                trial_name_creator=_trial_name,
                trial_dirname_creator=_trial_name,
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=run.folder.scratch(),
                verbose=0,
                callbacks=_callbacks(run, searcher, objective, placement, deletion, uploader),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                sync_config=tune.SyncConfig(sync_timeout=SYNC_TIMEOUT_S),
                failure_config=tune.FailureConfig(max_failures=MAX_ACTOR_RESTARTS),
            ),
        )
        try:
            with uploader:
                uploader.request_all()  # a resume elsewhere needs f_S and the splits
                tuner.fit()
        except Exception:
            failure.check()  # Tune's own error would hide it
            raise
    try:
        write_tables(study, run.folder, placement)
    except OSError as error:  # the study has everything
        log.warning("the tables were not written: %s", error)
    deletion.delete_files(CLEANUP_TIMEOUT_S)


def _callbacks(
    run: SearchRun,
    searcher: StudySearcher,
    objective: Objective,
    placement: TrialPlacement,
    deletion: CheckpointDeletion,
    uploader: Uploader,
) -> list[tune.Callback]:
    study, folder, console, spec = run.study, run.folder, run.console, run.spec
    remote_copy = RemoteCopyCallback(uploader)
    watchdog = Watchdog(spec.resources.epoch_timeout_s, study.slowest_epoch_s())
    return [
        WallClockCallback(run.clock),
        TensorBoardCallback(spec, study, folder),
        CheckpointRetentionCallback(deletion),
        ConsoleCallback(
            console,
            study,
            objective,
            trials=spec.planned_trials,
            epochs=spec.epochs,
            prints_epochs=run.prints_epochs,
        ),
        TablesCallback(study, folder, placement, remote_copy.mark_due),
        remote_copy,
        WatchdogCallback(console, watchdog),
        ShortageCallback(searcher, console),
        StopSignalCallback(),
        DriverLeaseCallback(run.lease),
        *run.callbacks,
    ]


def _with_resources(run: SearchRun, trainable: type[TrialTrainable]) -> type[TrialTrainable]:
    """Return the trainable with its context and the resources of its own process."""
    plan = run.plan
    context = TrialContext(
        run.spec, run.folder, plan.execution, plan.resources, run.shared, run.inputs
    )
    bundle = DRIVER_BUNDLE
    selectors = None
    if plan.execution == "in_process":
        bundle = plan.resources.bundle
        if plan.resources.label_selector:
            selectors = [plan.resources.label_selector]
    placement = tune.PlacementGroupFactory([bundle], bundle_label_selector=selectors)
    configured: type[TrialTrainable] = tune.with_resources(
        tune.with_parameters(trainable, context=context), placement
    )
    # The dashboard would show "with_resources.<locals>.ResourceTrainable".
    configured.__qualname__ = trainable.__name__
    return configured


def _trial_name(trial: Trial) -> str:
    return f"trial-{GroupConfig.from_tune(trial.config).leader}"
