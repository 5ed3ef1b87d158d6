"""A whole search, from the spec to its summary."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import optuna
import ray
from optuna.trial import FrozenTrial
from ray import tune
from rich.console import Console

from adaptune.cluster.connection import ClusterCapacity, wait_for_tasks
from adaptune.cluster.placement import PlacementPlan, worker_bundle
from adaptune.data.splits import Splits
from adaptune.errors import CheckpointError
from adaptune.evaluation.summary import Summary, summarise, write_summary
from adaptune.evaluation.test_scores import Baselines, TestScores, look, score_sealed
from adaptune.results.folder import ResultsFolder
from adaptune.results.splits_manifest import write_or_verify
from adaptune.search import study as studies
from adaptune.search.callbacks.console import Progress
from adaptune.search.callbacks.tables import write_tables
from adaptune.search.objective import Objective
from adaptune.search.scheduler import StudyScheduler
from adaptune.search.searcher import StudySearcher, Watch
from adaptune.search.source_classifier import train_source_classifier, yardsticks
from adaptune.search.study_storage import open_study
from adaptune.search.trainable import TrialContext, TrialTrainable
from adaptune.search.trial import make_job
from adaptune.spec.schema import SearchSpec, TrialSpec
from adaptune.training.checkpoint import eval_weights
from adaptune.training.loop import Record
from adaptune.training.source_classifier import State

MAX_ACTOR_RESTARTS = 3
# A Tune trial of Ray Train lanes only directs: it needs a place, not a CPU.
DRIVER_BUNDLE = {"node:__internal_head__": 0.001}


@dataclass(frozen=True)
class Run:
    """A search on the Ray cluster that this process is connected to: what it needs from start to end."""

    spec: SearchSpec
    splits: Splits
    plan: PlacementPlan
    folder: ResultsFolder
    console: Console
    study: optuna.Study
    clock: studies.WallClock
    source: State  # the weights of f_S
    source_stage_s: float
    shared: list[Any]  # object references: TrialData, the weights of f_S


@dataclass(frozen=True)
class Found:
    """An epoch of a trial: its spec, and its checkpoint."""

    number: int
    params: dict[str, Any]
    spec: TrialSpec
    checkpoint: dict[str, Any]

    @property
    def record(self) -> Record:
        found: Record = self.checkpoint["record"]
        return found

    @property
    def epoch(self) -> int:
        return int(self.record["epoch"])


@dataclass(frozen=True)
class SearchResult:
    """What a search found; `best` is None where there is nothing to export."""

    folder: ResultsFolder
    summary: Summary
    best: Found | None
    class_names: tuple[str, ...]


def run_search(
    spec: SearchSpec,
    splits: Splits,
    plan: PlacementPlan,
    folder: ResultsFolder,
    console: Console,
    *,
    since: float,
) -> SearchResult:
    """Search, and score what was found.

    Args:
        since: `time.perf_counter()` at the start, for `wall_s`, to which a resumed search adds its earlier runs.
    """
    run = begin(spec, splits, plan, folder, console, since=since)
    run_trials(run)
    best, scores, looks = best_checkpoint(run), None, 0
    if best is not None:
        console.print(f"best: trial {best.number}, epoch {best.epoch}", highlight=False)
        scores, looks = score_on_test(run, best)
    summary = summarise(
        spec,
        run.study,
        plan,
        best=None if best is None else run.study.get_trials(deepcopy=False)[best.number],
        record=None if best is None else best.record,
        scores=scores,
        looks=looks,
        wall_s=run.clock.note(),
        source_stage_s=run.source_stage_s,
    )
    write_summary(summary, folder)
    return SearchResult(folder, summary, best, splits.trial.class_names)


def begin(
    spec: SearchSpec,
    splits: Splits,
    plan: PlacementPlan,
    folder: ResultsFolder,
    console: Console,
    *,
    since: float,
) -> Run:
    """Open the study, put the data where all trials see it, and train f_S.

    Raises:
        ResultsError: the search was begun with other data, or its study cannot be opened.
    """
    write_or_verify(splits, folder)
    data_ref = ray.put(splits.trial)
    results = partial(wait_for_tasks, spec=spec, plan=plan)
    start = time.perf_counter()
    base = spec.trial({}, seed=spec.seed)
    source = train_source_classifier(
        base, splits.trial, data_ref, plan, folder.path.parent / ".cache", results
    )
    source_stage_s = time.perf_counter() - start
    console.print(f"source classifier ready after {source_stage_s:.0f} s", highlight=False)
    study = open_study(spec, str(folder.journal))
    clock = studies.WallClock(study, since)
    shared = [data_ref, ray.put(source)]
    return Run(spec, splits, plan, folder, console, study, clock, source, source_stage_s, shared)


def best_checkpoint(run: Run) -> Found | None:
    """The best epoch of all that can be read: a full disk may have kept the very best from being written."""
    passed_over = 0
    for trial, record in studies.ranked_epochs(run.study):
        try:
            return load_trial_checkpoint(run, trial, record["epoch"])
        except CheckpointError as error:
            if not passed_over:
                said = f"the best epoch, {record['epoch']} of trial {trial.number}, is passed over: {error}"
                run.console.print(said, style="red", soft_wrap=True)
            passed_over += 1
    return None


def load_trial_checkpoint(run: Run, trial: FrozenTrial, epoch: int) -> Found:
    """An epoch of a trial.

    Raises:
        CheckpointError: its checkpoint cannot be read.
    """
    job = make_job(run.spec, trial.number, trial.params, run.folder)
    return Found(trial.number, trial.params, job.spec, job.checkpoints.load(epoch))


def score_on_test(run: Run, best: Found) -> tuple[TestScores | None, int]:
    """Its accuracy on target_test and its rivals', and the looks at it so far; None without labels to score by."""
    if not len(run.splits.withheld.target_test_labels):
        return None, 0

    def score() -> dict[str, Any]:
        run.console.print("scoring it and its rivals on the sealed test", highlight=False)
        found = score_sealed(
            best.spec,
            run.splits.withheld,
            len(run.splits.trial.class_names),
            adapted=eval_weights(best.checkpoint, "f_target"),
            source_only=run.source,
            rivals=rivals_of(run, run.spec.trial(best.params, seed=run.spec.seed)),
        )
        return asdict(found)

    scores, looks = look(run.study, f"trial {best.number}, epoch {best.epoch}", score)
    return TestScores(**scores), looks


def rivals_of(run: Run, spec: TrialSpec) -> Baselines:
    """The rivals, trained as `spec` says, as far as the search wants them.

    `auto`: the target-supervised one for built-in data, whose target is labelled through and through.
    """
    wish = run.spec.evaluation.yardsticks
    if not wish:
        return Baselines()
    labelled = wish is True or ":" not in run.spec.data.target.domain
    results = partial(wait_for_tasks, spec=run.spec, plan=run.plan)
    return yardsticks(spec, run.shared, run.splits.withheld if labelled else None, run.plan, results)


def run_trials(run: Run) -> None:
    """Run the trials that the study lacks, and write the tables."""
    spec, study, plan, folder = run.spec, run.study, run.plan, run.folder
    guide = Objective(spec.search.metric)
    searcher = StudySearcher(spec, study, guide, ClusterCapacity(spec, plan))
    if searcher.remaining():
        _tune(run, searcher, StudyScheduler(spec, study, guide), guide)
    write_tables(study, plan, folder)


def _tune(run: Run, searcher: StudySearcher, scheduler: StudyScheduler, guide: Objective) -> None:
    spec, plan, folder = run.spec, run.plan, run.folder
    context = TrialContext(
        spec=spec,
        folder=folder,
        execution=plan.execution,
        workers=plan.workers,
        cpus_per_worker=plan.cpus_per_worker,
        gpus_per_worker=plan.gpus_per_worker,
        shared=run.shared,
    )
    bundle, selector = DRIVER_BUNDLE, None
    if plan.execution == "in_process":
        bundle = worker_bundle(
            spec.resources.model_copy(update={"gpus_per_worker": plan.gpus_per_worker})
        )
        selector = [labels] if (labels := spec.resources.label_selector) else None
    place = tune.PlacementGroupFactory([bundle], bundle_label_selector=selector)
    trainable = tune.with_resources(tune.with_parameters(TrialTrainable, context=context), place)
    trainable.__qualname__ = (
        TrialTrainable.__name__
    )  # the dashboard would say with_resources.<locals>.ResourceTrainable
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=scheduler,
            num_samples=-1,  # the searcher says when it is done
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=folder.scratch(),
            verbose=0,
            callbacks=[
                Progress(spec, run.study, guide, plan, folder, run.console, run.clock),
                Watch(searcher),
            ],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            failure_config=tune.FailureConfig(max_failures=MAX_ACTOR_RESTARTS),
        ),
    )
    tuner.fit()


def _trial_name(trial: Any) -> str:
    return f"trial-{trial.config['number']}"
