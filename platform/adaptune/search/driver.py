"""The driver's side of a search: preparation, and the loop of Ray Tune."""

from __future__ import annotations

import time
from dataclasses import dataclass

import ray
from ray import tune
from ray.tune.experiment import Trial
from rich.console import Console

from adaptune.cluster.nodes import ClusterCapacity
from adaptune.cluster.placement import PlacementPlan
from adaptune.cluster.tasks import ClusterTasks
from adaptune.data.splits import Splits
from adaptune.execution.base import SharedRefs
from adaptune.results.folder import ResultsFolder
from adaptune.results.splits_manifest import write_or_verify
from adaptune.search.callbacks.checkpoint_retention import CheckpointRetentionCallback
from adaptune.search.callbacks.console import ConsoleCallback
from adaptune.search.callbacks.remote_copy import RemoteCopyCallback
from adaptune.search.callbacks.shortage import ShortageCallback
from adaptune.search.callbacks.tables import TablesCallback, write_tables
from adaptune.search.callbacks.tensorboard import TensorBoardCallback
from adaptune.search.callbacks.wall_clock import WallClockCallback
from adaptune.search.protocol import TrialConfig
from adaptune.search.scheduler import StudyScheduler
from adaptune.search.searcher import SearchBudget, StudySearcher
from adaptune.search.source_classifier import source_classifier
from adaptune.search.trainable import TrialContext, TrialTrainable
from adaptune.spec.schema import SearchSpec
from adaptune.study.objective import Objective
from adaptune.study.storage import open_study
from adaptune.study.study import SearchStudy
from adaptune.study.wall_clock import WallClock
from adaptune.study.warm_start import prior_trials
from adaptune.training.state import StateDict

MAX_ACTOR_RESTARTS = 3
CLEANUP_TIMEOUT_S = 60.0
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


def prepare_run(
    spec: SearchSpec,
    splits: Splits,
    plan: PlacementPlan,
    folder: ResultsFolder,
    console: Console,
    *,
    start: float,
) -> SearchRun:
    """Store the data where all trials can read it, train f_S and open the study.

    Args:
        start: `time.perf_counter()` at the start of this session.

    Raises:
        ResultsError: the search began with other data, or its study cannot be opened.
        NodesLostError: the cluster had no room for the training of f_S for too long.
    """
    write_or_verify(splits, folder)
    data_ref = ray.put(splits.trial)
    capacity = ClusterCapacity(plan, spec.resources.wait_for_nodes_s)
    tasks = ClusterTasks(plan, capacity)
    source_start = time.perf_counter()
    source_weights = source_classifier(
        spec.trial({}, seed=spec.seed), splits.trial, data_ref, tasks, folder.source_classifiers
    )
    source_classifier_s = time.perf_counter() - source_start
    console.print(f"source classifier ready after {source_classifier_s:.0f} s", highlight=False)
    study = open_study(spec, folder.journal)
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
    )


def run_trials(run: SearchRun, trainable: type[TrialTrainable] = TrialTrainable) -> None:
    """Run the trials that the study lacks, and write the tables.

    Args:
        trainable: class of the trials; benchmarks pass one that does not train.

    Raises:
        WorkersNotStartedError: no trial could train for too long.
    """
    spec, study = run.spec, run.study
    objective = Objective(spec.search.metric)
    budget = SearchBudget(spec.planned_trials, spec.epochs, run.capacity.node_timeout_s)
    searcher = StudySearcher(study, objective, budget, run.capacity, prior_trials(spec))
    retention = CheckpointRetentionCallback(study, run.folder, spec.storage.checkpoint_budget_gb)
    if searcher.remaining():
        scheduler = StudyScheduler(spec.search.scheduler, spec.epochs, study, objective)
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
                callbacks=_callbacks(run, searcher, objective, budget, retention),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=MAX_ACTOR_RESTARTS),
            ),
        )
        tuner.fit()
    write_tables(study, run.folder, run.plan.execution, run.plan.resources.workers)
    retention.delete_files(CLEANUP_TIMEOUT_S)


def _callbacks(
    run: SearchRun,
    searcher: StudySearcher,
    objective: Objective,
    budget: SearchBudget,
    retention: CheckpointRetentionCallback,
) -> list[tune.Callback]:
    study, folder, plan = run.study, run.folder, run.plan
    remote_copy = RemoteCopyCallback(folder)
    return [
        WallClockCallback(run.clock),
        TensorBoardCallback(folder),
        retention,
        ConsoleCallback(run.console, study, objective, trials=budget.trials, epochs=budget.epochs),
        TablesCallback(study, folder, plan.execution, plan.resources.workers, remote_copy.mark_due),
        remote_copy,
        ShortageCallback(searcher),
    ]


def _with_resources(run: SearchRun, trainable: type[TrialTrainable]) -> type[TrialTrainable]:
    """Return the trainable with its context and the resources of its own process."""
    plan = run.plan
    context = TrialContext(run.spec, run.folder, plan.execution, plan.resources, run.shared)
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
    return f"trial-{TrialConfig.from_tune(trial.config).number}"
