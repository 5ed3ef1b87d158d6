"""The commands that start Ray: a search, and what trains its settings again."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from adaptune.cli.inspect import ResultsArgument
from adaptune.errors import BAD_INPUT, AdaptuneError, ResourceError, ResultsError
from adaptune.spec.schema import ResourcesSpec, StorageSpec

if TYPE_CHECKING:
    from adaptune.cluster.doctor import Finding
    from adaptune.cluster.placement import PlacementPlan
    from adaptune.data.splits import Splits
    from adaptune.evaluation.replication import Row, Setting
    from adaptune.results.folder import ResultsFolder
    from adaptune.spec import SearchSpec

INTERRUPTED = 130
MEANS = ("setting", "seeds", "target_test", "standard_error")  # of confirm's and ablate's tables
AddressOption = Annotated[
    str | None, typer.Option(help="a running Ray cluster; none: one is started here")
]
SeedsOption = Annotated[int, typer.Option(min=2, help="how many fresh seeds")]


def search(
    space: Annotated[str, typer.Option(help="a YAML file, as given or in search_spaces/")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="key.path=value, over the file's")
    ] = None,
    trials: Annotated[int | None, typer.Option(help="how many trials, in all")] = None,
    name: Annotated[str | None, typer.Option(help="the results' folder")] = None,
    out: Annotated[str | None, typer.Option(help="the folder of all results")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="go on with a search that was interrupted")
    ] = False,
    resume_if_begun: Annotated[
        bool,
        typer.Option("--resume-if-begun", help="the same where there is one, else a new search"),
    ] = False,
    address: AddressOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="print the resolved spec and the plan")
    ] = False,
) -> None:
    """Search the loss weights."""
    from adaptune.spec import load

    overrides = list(set_ or [])
    for key, value in (("search.trials", trials), ("name", name), ("storage.out", out)):
        if value is not None:
            overrides.append(f"{key}={value}")
    spec = load(space, overrides)
    if dry_run:
        _print_plan(spec)
        return
    if resume_if_begun and not resume:
        from adaptune.results.lifecycle import (
            begun,
        )  # not for a dry run, nor for a fault in the spec

        resume = begun(spec)
    _search(spec, resume=resume, address=address)


def _search(spec: SearchSpec, *, resume: bool, address: str | None) -> None:
    from adaptune.cluster.placement import check_metric, plan_placement
    from adaptune.data.splits import load_splits
    from adaptune.results.lifecycle import claim
    from adaptune.search.study_storage import check_new

    since = time.perf_counter()
    splits = load_splits(spec.data, spec.seed)
    check_metric(spec, splits)
    if address is None:
        plan_placement(spec, [local_resources()])
    if not resume:
        check_new(spec)
    folder = claim(spec, resume=resume)
    with _session(folder, "The same command with --resume goes on.") as console:
        _search_on_cluster(
            spec, splits, folder, console, resume=resume, address=address, since=since
        )


@contextmanager
def _session(folder: ResultsFolder, again: str) -> Iterator[Console]:
    """The folder's lock and its log; what goes wrong is said on the terminal, with how to go on: `again`."""
    from adaptune.cluster.connection import redirect_output
    from adaptune.results.lifecycle import exclusive

    with exclusive(folder), redirect_output(folder.log) as console:
        try:
            yield console
        except (typer.Exit, AdaptuneError):
            raise
        except KeyboardInterrupt:
            console.print(f"\nstopped; all is kept in {folder.path}. {again}")
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            with suppress(OSError):  # a full disk
                traceback.print_exc()  # into the log, with what Ray said of it
            console.print(
                f"the search failed: {error}\nWhat was finished is kept in {folder.path}; the details are in"
                f" {folder.log.name}. {again}"
            )
            raise typer.Exit(1) from None


def _search_on_cluster(
    spec: SearchSpec,
    splits: Splits,
    folder: ResultsFolder,
    console: Console,
    *,
    resume: bool,
    address: str | None,
    since: float,
) -> None:
    from adaptune.artifacts.export import write_export
    from adaptune.cluster.connection import joined, token_hint
    from adaptune.results.lifecycle import discard
    from adaptune.search.driver import run_search
    from adaptune.search.samplers import planned_trials

    try:
        with joined(address, spec.name) as dashboard:
            plan = _plan(spec, folder, console, address)
            console.print(
                f"adaptune: {spec.name}, {plan.describe()}", highlight=False, soft_wrap=True
            )
            if (planned := planned_trials(spec)) < spec.search.trials:
                console.print(
                    f"the grid has {planned} settings, fewer than {spec.search.trials} trials",
                    soft_wrap=True,
                )
            if dashboard:
                console.print(f"dashboard: http://{dashboard}{token_hint()}", highlight=False)
            console.print(f"results: {folder.path}", highlight=False, soft_wrap=True)
            outcome = run_search(spec, splits, plan, folder, console, since=since)
    except BAD_INPUT:
        if not resume and not folder.begun:
            discard(folder)
        raise
    if outcome.best is None:
        console.print(outcome.summary["verdict"])
        _write_page(folder, spec, console)
        _copy(folder, console)
        raise typer.Exit(1)
    best = write_export(
        folder.best,
        spec=outcome.best.spec,
        class_names=outcome.class_names,
        checkpoint=outcome.best.checkpoint,
        metrics=outcome.summary,
    )
    _print_summary(console, outcome.summary)
    console.print(f"exported to {best}", highlight=False, soft_wrap=True)
    _write_page(folder, spec, console)
    _copy(folder, console)


def _plan(
    spec: SearchSpec, folder: ResultsFolder, console: Console, address: str | None
) -> PlacementPlan:
    """What fits on the cluster, once it has room; its nodes have been looked at then."""
    from adaptune.cluster.connection import wait_for_plan
    from adaptune.cluster.doctor import check_nodes

    plan = wait_for_plan(spec, console, address)
    if address is not None:
        check_nodes(folder.seen_by_all, spec.resources, plan, console)
    return plan


def _write_page(folder: ResultsFolder, spec: SearchSpec, console: Console) -> None:
    """Leave the search's report; it can be made again, so that a full disk costs no more than it."""
    from adaptune.report.page import write_report
    from adaptune.search.study_storage import study_of

    if not folder.summary.exists():  # settings of a search that was interrupted were trained again
        return
    try:
        page = write_report(folder, spec, study_of(folder, spec))
    except ResultsError as error:
        console.print(
            f"no report: {error}; `adaptune report {folder.path}` makes it another time",
            soft_wrap=True,
        )
    else:
        console.print(f"report: {page}", highlight=False, soft_wrap=True)


def _copy(folder: ResultsFolder, console: Console) -> None:
    """Copy the results to `storage.remote`, where the spec has one."""
    from adaptune.results.remote import push

    try:
        push(folder, whole=True)
    except OSError as error:
        console.print(
            f"not copied to {folder.remote}: {error}\nAll is in {folder.path}; the same command with --resume copies"
            " it again.",
            soft_wrap=True,
        )
        raise typer.Exit(1) from None
    if folder.remote is not None:
        console.print(f"copied to {folder.remote}", highlight=False, soft_wrap=True)


def local_resources() -> dict[str, float]:
    """What a Ray started here will count."""
    import torch
    from ray._private.utils import get_num_cpus

    return {"CPU": float(get_num_cpus()), "GPU": float(torch.cuda.device_count())}


def _print_plan(spec: SearchSpec) -> None:
    from adaptune.cluster.placement import plan_placement, rungs
    from adaptune.data.registry import check_name
    from adaptune.search.samplers import planned_trials
    from adaptune.spec import dump

    for domain in (spec.data.source, spec.data.target):
        check_name(domain.domain)
    try:
        plan = plan_placement(spec, [local_resources()]).describe()
    except ResourceError as error:  # a spec for a cluster is looked at on a laptop
        plan = f"not on this machine: {error}"
    training, scheduler, looks = spec.training, spec.search.scheduler.name, rungs(spec)
    trials = planned_trials(spec)
    updates = trials * training.epochs * training.steps_per_epoch
    print(dump(spec))
    print(f"# {trials} trials over {', '.join(spec.space) or 'nothing'}, by {spec.search.metric}")
    print(f"# {plan}")
    print(f"# {training.epochs} epochs of {training.steps_per_epoch} updates")
    print(f"# {scheduler} looks at epochs {looks or 'none'}")
    print(f"# at most {updates} updates of {training.batch_size} pairs, were no trial stopped")


def _print_summary(console: Console, summary: dict[str, Any]) -> None:
    from adaptune.evaluation.summary import MODELS

    console.print(
        f"\n{summary['trials_total']} trial(s): {summary['trials_complete']} complete,"
        f" {summary['trials_pruned']} stopped early, {summary['trials_failed']} failed;"
        f" {summary['wall_s']:.0f} s",
        highlight=False,
    )
    for name, key in MODELS.items():
        if summary[key] is not None:
            console.print(f"  {name:<18}{summary[key]:.1%}", highlight=False)
    if summary["gap_closed"] is not None:
        console.print(f"  {'gap closed':<18}{summary['gap_closed']:.2f}", highlight=False)
    console.print(summary["verdict"], highlight=False)


def confirm(
    results: ResultsArgument,
    top: Annotated[int, typer.Option(min=1, help="how many of the best settings")] = 3,
    seeds: SeedsOption = 5,
    address: AddressOption = None,
) -> None:
    """Train the best settings again under fresh seeds: does adaptation help? The same command goes on with it."""
    from adaptune.evaluation import confirmation as confirming

    folder, spec, study = _finished(results)
    settings = confirming.top_settings(spec, study, top)

    def conclude(rows: list[Row]) -> str:
        return "\n".join(
            [_repeats_table(rows), confirming.verdict(rows, confirming.winner(rows, settings))]
        )

    _repeat(folder, spec, "confirm", settings, seeds, address, conclude)


def ablate(results: ResultsArgument, seeds: SeedsOption = 3, address: AddressOption = None) -> None:
    """Train the winner without each of its parts, under fresh seeds. The same command goes on with it."""
    from adaptune.evaluation import confirmation as confirming
    from adaptune.search import study as studies

    folder, spec, study = _finished(results)
    best = studies.best_trial(study)
    assert best is not None
    settings = confirming.ablations(spec, best.params)
    already = confirming.inactive_ablations(settings[0])

    def conclude(rows: list[Row]) -> str:
        note = f"\n{', '.join(already)}: as full, which has no such term." if already else ""
        return _repeats_table(rows) + note

    _repeat(folder, spec, "ablation", settings, seeds, address, conclude)


def _finished(results: Path) -> tuple[ResultsFolder, SearchSpec, Any]:
    """A search that has a best trial."""
    from adaptune.results.lifecycle import open_existing
    from adaptune.search import study as studies
    from adaptune.search.study_storage import study_of

    folder, spec = open_existing(results)
    study = study_of(folder, spec)
    if studies.best_trial(study) is None:
        raise ResultsError(
            f"{folder.path}: no trial has come to an end yet; let the search run on with --resume"
        )
    return folder, spec, study


def _repeat(
    folder: ResultsFolder,
    spec: SearchSpec,
    kind: str,
    settings: list[Setting],
    seeds: int,
    address: str | None,
    conclude: Callable[[list[Row]], str],
) -> None:
    """Train the settings under fresh seeds; leaves the tables in `folder/kind`."""
    import pyarrow as pa

    from adaptune.cluster.connection import joined
    from adaptune.evaluation.confirmation import table
    from adaptune.evaluation.replication import repeat
    from adaptune.results.folder import write_atomically, write_table

    fresh = range(spec.seed + 1, spec.seed + 1 + seeds)
    out = folder.path / kind
    with (
        _session(folder, "The same command goes on.") as console,
        joined(address, f"{spec.name}-{kind}"),
    ):
        rows = repeat(
            spec, settings, fresh, out, lambda ours: _plan(ours, folder, console, address), console
        )
        write_table(
            out / f"{kind}_seeds.parquet", pa.Table.from_pylist([asdict(row) for row in rows])
        )
        means = [dict(zip(MEANS, row, strict=True)) for row in table(rows)]
        write_table(out / f"{kind}.parquet", pa.Table.from_pylist(means))
        said = conclude(rows)
        write_atomically(out / f"{kind}.md", said + "\n")
        console.print(said, highlight=False, soft_wrap=True)
        console.print(f"\nkept in {out}", highlight=False, soft_wrap=True)
        _write_page(folder, spec, console)
        _copy(folder, console)


def _repeats_table(rows: list[Row]) -> str:
    """Markdown: the mean test accuracy of each setting, with its standard error."""
    from adaptune.evaluation.confirmation import table

    lines = ["| setting | seeds | test accuracy |", "|---|---|---|"]
    for name, count, mean, error in table(rows):
        shown = (
            "failed"
            if mean is None
            else f"{100 * mean:.1f}" + ("" if error is None else f" ± {100 * error:.1f}")
        )
        lines.append(f"| {name} | {count} | {shown} |")
    return "\n".join([*lines, ""])


def doctor(
    address: AddressOption = None,
    out: Annotated[
        Path, typer.Option(help="where results would go; all nodes of a cluster must see it")
    ] = Path(StorageSpec.model_fields["out"].default),
) -> None:
    """Look whether this machine, or a cluster, is fit for a search."""
    from adaptune.cluster.connection import redirect_output
    from adaptune.cluster.doctor import STYLES

    faulty = False
    with redirect_output(Path(os.devnull)) as console:
        for finding in _findings(address, out.expanduser().resolve()):
            console.print(f"{finding.level:<9}", style=STYLES[finding.level], end="")
            console.print(finding.said, markup=False, highlight=False, soft_wrap=True)
            faulty |= finding.level == "fault"
    raise typer.Exit(int(faulty))


def _findings(address: str | None, out: Path) -> Iterator[Finding]:
    """Of this machine, then of the cluster's nodes."""
    from adaptune.cluster.connection import joined
    from adaptune.cluster.doctor import Finding, machine, nodes

    folder = next(path for path in (out, *out.parents) if path.is_dir())
    yield from machine(folder)
    try:
        with joined(address, "doctor", asks=False):
            yield from nodes(folder if os.access(folder, os.W_OK) else None, ResourcesSpec())
    except ResourceError as error:
        yield Finding("fault", str(error))


RUNS = (search, confirm, ablate, doctor)
