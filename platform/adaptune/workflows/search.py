"""The search, from a spec to an exported model and a report."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.console import Console

from adaptune.artifacts.export import write_export
from adaptune.cluster.connection import connect, token_hint
from adaptune.cluster.local_resources import local_resources
from adaptune.cluster.placement import PlacementPlan, plan_placement
from adaptune.cluster.preparation import prepare_on_nodes
from adaptune.data.splits import OpenSplits, Splits, open_splits
from adaptune.errors import BAD_INPUT
from adaptune.evaluation.baselines import note_f_s
from adaptune.evaluation.held_out import TrialCheckpoint, best_checkpoint, evaluate_best
from adaptune.evaluation.summary import Summary, summarise, write_summary
from adaptune.evaluation.target_calibration import calibrate_best
from adaptune.evaluation.test_scores import stored_scores
from adaptune.results import lifecycle
from adaptune.results.folder import ResultsFolder
from adaptune.results.lease import DriverLease
from adaptune.results.scratch import remove_scratch
from adaptune.search.driver import SearchRun, prepare_run, run_trials
from adaptune.signals import stop_number
from adaptune.spec.schema import SearchSpec
from adaptune.study.group_size import store_group_size
from adaptune.study.lease import discard_study, hold_study
from adaptune.study.storage import ensure_absent
from adaptune.study.warm_start import prior_trials
from adaptune.text import duration
from adaptune.tracking.notice import notified
from adaptune.tracking.open_trackers import (
    check_tracking,
    finish_trackers,
    open_trackers,
    trackers_told_of_a_stop,
)
from adaptune.training.batch_norm import check_batch_norm
from adaptune.training.classifier_check import with_checked_classifier
from adaptune.training.temperature import TargetCalibration
from adaptune.workflows.estimate import estimate_on_cluster, print_estimate
from adaptune.workflows.finish import copy_to_remote, print_summary, write_report_if_possible
from adaptune.workflows.live import LiveScreen, can_show_live
from adaptune.workflows.metric_check import check_labelled_target, check_metric
from adaptune.workflows.monitor import MonitorCallback, seconds_left
from adaptune.workflows.plan import plan_on_cluster
from adaptune.workflows.progress import PreparationProgress
from adaptune.workflows.session import session
from adaptune.workflows.steering import SteeringCallback

LONG_STEP_S = 10.0


@dataclass(frozen=True)
class SearchResult:
    """Result of a search.

    Attributes:
        folder: results folder.
        summary: figures of the search.
        export: folder of the exported model; None if there was nothing to export.
        copied: whether the results were copied to `storage.remote`, if the spec has one.
    """

    folder: Path
    summary: Summary
    export: Path | None
    copied: bool = True


def run(
    spec: SearchSpec,
    *,
    resume: bool = False,
    address: str | None = None,
    console: Console | None = None,
    quiet: bool = False,
) -> SearchResult:
    """Run a search: train trials, export the best model, evaluate it and write the report.

    Args:
        spec: the search, as `load_spec` returns it.
        resume: continue the search in the spec's results folder.
        address: address of a running Ray cluster; None starts a local one.
        console: where progress is printed; None is standard output. All other output of this
            process goes to the log in the results folder.
        quiet: whether plain lines are printed also on a terminal, in place of the live view.

    Raises:
        SpecError, DataError, ResourceError, ResultsError: the input is wrong; nothing is left.
        InterruptedSearchError: the user interrupted the search, which can be resumed.
        SearchFailedError, NodesLostError, WorkersNotStartedError: it ended early; trials are kept.
    """
    start = time.perf_counter()
    resolved = {"data": spec.data.resolved(), "storage": spec.storage.resolved()}
    spec = with_checked_classifier(spec.model_copy(update=resolved))
    check_tracking(spec.tracking)
    check_labelled_target(spec)
    data = open_splits(spec.data, spec.seed)
    check_metric(spec.search.metric, spec.data.target.domain, data)
    check_batch_norm(spec.trial({}))
    prior_trials(spec)  # wrong folders are reported before anything is created
    splits = None
    if address is None:
        plan_placement(spec, [local_resources()])
        # So are unreadable images; on a cluster, its nodes prepare them.
        splits = data.load(
            PreparationProgress(console or Console(highlight=False, markup=False, emoji=False))
        )
    if not resume:
        ensure_absent(spec.name, spec.storage.study)
    with DriverLease() as lease:
        folder = lifecycle.create_or_resume(spec, resume=resume, lease=lease)
        how_to_continue = "The same command with --resume continues."
        with notified(spec) as notice, session(folder, how_to_continue) as terminal:
            screen = console or terminal
            with _removed_if_refused(folder, spec.storage.study, lease, is_new=not resume):
                hold_study(spec, folder, lease)
                with connect(address, spec.name) as dashboard:
                    plan = plan_on_cluster(spec, folder, screen, address)
                    print_start(spec, plan, folder, dashboard, screen, data.notes)
                    splits = splits or _load_on_cluster(data, screen)
                    search_run = _prepare(spec, splits, plan, folder, screen, start, lease)
                    with trackers_told_of_a_stop(search_run.callbacks):
                        summary, best, calibration = _search(search_run, quiet=quiet)
            result = _finish(search_run, summary, best, calibration)
            notice.summary = summary
            return result


def _prepare(
    spec: SearchSpec,
    splits: Splits,
    plan: PlacementPlan,
    folder: ResultsFolder,
    console: Console,
    start: float,
    lease: DriverLease,
) -> SearchRun:
    """Print the needs of the search, and return its run with the number of trials per GAN."""
    estimate = estimate_on_cluster(spec, splits, plan, folder, start, console.print)
    print_estimate(estimate, console)
    if estimate.source_classifier_s >= LONG_STEP_S:
        seconds = duration(estimate.source_classifier_s)
        console.print(f"training the source classifier, which takes about {seconds}")
    size = estimate.group_size
    if size is not None:
        spec = spec.with_group_size(size.trials)
        plan = plan.with_groups(spec.planned_groups)
    run = prepare_run(spec, splits, plan, folder, console, start=start, lease=lease)
    note_f_s(run)
    if size is not None:  # before the first trial starts
        store_group_size(run.study, size)
    steering = SteeringCallback(folder, run.study, spec.planned_trials, console)
    steering.carry_out()  # a search that has all of its trials may get more
    return replace(run, callbacks=[steering, *open_trackers(run)])


def _load_on_cluster(data: OpenSplits, console: Console) -> Splits:
    """Return the data with its images, which the nodes of a cluster prepare if they have to be."""
    progress = PreparationProgress(console)
    chunks = data.missing_chunks()
    if chunks:
        prepare_on_nodes(chunks, partial(progress, "source and target"))
    return data.load(progress)


def print_start(
    spec: SearchSpec,
    plan: PlacementPlan,
    folder: ResultsFolder,
    dashboard: str,
    console: Console,
    notes: Sequence[str] = (),
) -> None:
    """Print what the search will do, where to watch it, and remarks on its data."""
    placement = plan.describe(spec.search.classifiers_per_gan)
    console.print(f"adaptune: {spec.name}, {placement}")
    if spec.planned_trials < spec.search.trials:
        console.print(
            f"the grid has {spec.planned_trials} points, fewer than {spec.search.trials} trials"
        )
    if dashboard:
        console.print(f"dashboard: http://{dashboard}{token_hint()}")
    console.print(f"results: {folder.path}")
    for note in notes:
        console.print(note, highlight=False, markup=False)


@contextmanager
def _removed_if_refused(
    folder: ResultsFolder, database: str | None, lease: DriverLease, *, is_new: bool
) -> Iterator[None]:
    """Remove a new folder if wrong input ends the search before anything of it is worth keeping."""
    try:
        yield
    except BAD_INPUT as error:
        is_stopped = stop_number(error) is not None  # the input may be right
        is_unused = is_new and not is_stopped and not folder.has_progress
        if is_unused and discard_study(folder.path.name, database, lease):
            lifecycle.discard(folder)
        raise


def _search(
    run: SearchRun, *, quiet: bool
) -> tuple[Summary, TrialCheckpoint | None, TargetCalibration | None]:
    """Run the trials and evaluate the best model; return summary, model and its calibration."""
    is_live = not quiet and can_show_live(run.console)
    with LiveScreen(run.console) as screen:
        monitor = MonitorCallback(run, screen if is_live else None)
        callbacks = [*run.callbacks, monitor]
        run_trials(replace(run, callbacks=callbacks, prints_epochs=not is_live))
        monitor.show()  # the end of the last trials
    best = best_checkpoint(run)
    scores = None
    calibration = None
    evaluations = 0
    if best is not None:
        run.console.print(f"best: {best.name}")
        left_s = seconds_left(run)
        if left_s >= LONG_STEP_S and stored_scores(run.study, best.name) is None:
            run.console.print(f"its evaluation and the baselines take about {duration(left_s)}")
        scores, evaluations = evaluate_best(run, best)
        calibration = calibrate_best(run, best)
    summary = summarise(
        run, best=best, scores=scores, evaluations=evaluations, wall_s=run.clock.update()
    )
    write_summary(summary, run.folder.summary)
    return summary, best, calibration


def _finish(
    run: SearchRun,
    summary: Summary,
    best: TrialCheckpoint | None,
    calibration: TargetCalibration | None,
) -> SearchResult:
    """Export the best model, print the result, write the report and copy everything."""
    console, folder = run.console, run.folder
    remove_scratch(folder)
    export = None
    if best is not None:
        export = write_export(
            folder.best,
            spec=best.spec,
            class_names=run.splits.trial.class_names,
            checkpoint=best.contents,
            metrics=summary.model_dump(mode="json"),
            calibration=calibration,
        )
    print_summary(summary, console)
    if export is not None:
        console.print(f"exported to {export}")
    write_report_if_possible(folder, run.spec, run.study, console)
    finish_trackers(run, summary, export)
    copied = copy_to_remote(folder, console, run.lease)
    return SearchResult(folder.path, summary, export, copied)
