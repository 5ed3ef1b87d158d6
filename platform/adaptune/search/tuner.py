"""A whole search, from the spec to its summary."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import optuna
import ray
from optuna.trial import FrozenTrial
from ray import tune
from rich.console import Console

from adaptune.data.splits import Splits
from adaptune.errors import CheckpointError
from adaptune.search import study as studies
from adaptune.search.bridge import ResumableASHA, StudySearcher
from adaptune.search.cluster import Capacity
from adaptune.search.ledger import write_ledger
from adaptune.search.preflight import Plan
from adaptune.search.progress import Progress
from adaptune.search.results import ResultsFolder
from adaptune.search.stages import source_stage, yardsticks
from adaptune.search.summary import Summary, summarise, write_summary
from adaptune.search.trainable import LaneTrainable, TrialContext
from adaptune.search.trial import make_job
from adaptune.search.verdict import score_sealed
from adaptune.spec.schema import SearchSpec, TrialSpec
from adaptune.training.checkpoint import best_weights

MAX_ACTOR_RESTARTS = 3
# A Tune trial of Ray Train lanes only directs: it needs a place, not a CPU.
HEAD_SHARE = {"node:__internal_head__": 0.001}


@dataclass(frozen=True)
class Outcome:
    """What a search found. `checkpoint` and `trial` are the best trial's, None where there is none."""

    folder: ResultsFolder
    summary: Summary
    trial: TrialSpec | None = None
    checkpoint: dict[str, Any] | None = None
    class_names: tuple[str, ...] = ()


def run_search(
    spec: SearchSpec, splits: Splits, plan: Plan, folder: ResultsFolder, console: Console, *, since: float
) -> Outcome:
    """Search on the Ray cluster that this process is connected to.

    Args:
        since: `time.perf_counter()` at the start, for `wall_s`, to which a resumed search adds its earlier runs.
    """
    data_ref = ray.put(splits.trial)
    start = time.perf_counter()
    base = spec.trial({}, seed=spec.seed)
    source = source_stage(base, splits.trial, data_ref, plan, folder.path.parent / ".cache")
    source_stage_s = time.perf_counter() - start
    console.print(f"source classifier ready after {source_stage_s:.0f} s", highlight=False)

    study = studies.open_study(spec, str(folder.journal))
    clock = studies.WallClock(study, since)
    source_ref = ray.put(source)
    _run_trials(spec, study, plan, folder, console, [data_ref, source_ref], clock)
    write_ledger(study, plan, folder)

    best = trial = checkpoint = scores = None
    if found := _best_checkpoint(spec, study, folder, console):
        best, trial, checkpoint = found
        epoch = checkpoint["record"]["epoch"]
        console.print(f"best: trial {best.number}, epoch {epoch}; scoring it on the sealed test", highlight=False)
        rivals: dict[str, Any] = {}
        if wants_yardsticks(spec):
            yardstick = spec.trial(best.params, seed=spec.seed)
            information, supervised = yardsticks(yardstick, data_ref, source_ref, splits.sealed, plan)
            rivals = {"information_only": information, "supervised": supervised}
        scores = score_sealed(
            trial,
            splits.sealed,
            len(splits.trial.class_names),
            adapted=best_weights(checkpoint, "f_target"),
            source_only=source,
            **rivals,
        )
    summary = summarise(
        spec,
        study,
        plan,
        best=best,
        scores=scores,
        wall_s=clock.note(),
        source_stage_s=source_stage_s,
    )
    write_summary(summary, folder)
    return Outcome(folder, summary, trial, checkpoint, splits.trial.class_names)


def _best_checkpoint(
    spec: SearchSpec, study: optuna.Study, folder: ResultsFolder, console: Console
) -> tuple[FrozenTrial, TrialSpec, dict[str, Any]] | None:
    """The best trial whose best epoch can be read: a full disk may have kept it from being written."""
    for trial in studies.ranked(study):
        epoch = (studies.best_record(trial) or {})["epoch"]
        try:
            job = make_job(spec, trial.number, trial.params, folder)
            return trial, job.spec, job.checkpoints.load(epoch)
        except CheckpointError as error:
            console.print(f"trial {trial.number} is passed over: {error}", style="red", soft_wrap=True)
    return None


def wants_yardsticks(spec: SearchSpec) -> bool:
    """`auto`: for built-in data, whose target is labelled through and through."""
    wish = spec.evaluation.yardsticks
    return ":" not in spec.data.target.domain if wish == "auto" else wish


def _run_trials(
    spec: SearchSpec,
    study: optuna.Study,
    plan: Plan,
    folder: ResultsFolder,
    console: Console,
    shared: list[Any],
    clock: studies.WallClock,
) -> None:
    searcher = StudySearcher(spec, study, Capacity(spec, plan))
    if not searcher.remaining():
        return
    context = TrialContext(
        spec=spec,
        folder=folder,
        execution=plan.execution,
        workers=plan.workers,
        cpus_per_worker=plan.cpus_per_worker,
        gpus_per_worker=plan.gpus_per_worker,
        shared=shared,
    )
    bundle = HEAD_SHARE
    if plan.execution == "in_process":
        bundle = {"CPU": float(plan.cpus_per_worker), "GPU": plan.gpus_per_worker}
    trainable = tune.with_resources(
        tune.with_parameters(LaneTrainable, context=context), tune.PlacementGroupFactory([bundle])
    )
    trainable.__qualname__ = LaneTrainable.__name__  # the dashboard would say with_resources.<locals>.ResourceTrainable
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=ResumableASHA(spec, study) if spec.search.scheduler.name == "asha" else None,
            num_samples=searcher.remaining(),
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(folder.scratch),
            verbose=0,
            callbacks=[Progress(spec, study, plan, folder, console, clock)],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            failure_config=tune.FailureConfig(max_failures=MAX_ACTOR_RESTARTS),
        ),
    )
    tuner.fit()


def _trial_name(trial: Any) -> str:
    return f"trial-{trial.config['number']}"
