"""The command line."""

from __future__ import annotations

import sys
import time
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from adaptune.errors import AdaptuneError, DataError, ResourceError, ResultsError, SpecError
from adaptune.verbs import VERBS

if TYPE_CHECKING:
    from adaptune.data.splits import Splits
    from adaptune.search.results import ResultsFolder
    from adaptune.spec import SearchSpec

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
BAD_INPUT = (SpecError, DataError, ResourceError, ResultsError)
INTERRUPTED = 130

for verb in VERBS:
    app.command()(verb)


@app.command()
def search(
    space: Annotated[str, typer.Option(help="a YAML file, as given or in search_spaces/")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="key.path=value, over the file's")] = None,
    trials: Annotated[int | None, typer.Option(help="how many trials, in all")] = None,
    name: Annotated[str | None, typer.Option(help="the results' folder")] = None,
    out: Annotated[str | None, typer.Option(help="the folder of all results")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with a search that was interrupted")] = False,
    address: Annotated[str | None, typer.Option(help="a running Ray cluster; none: one is started here")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the resolved spec and the plan")] = False,
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
    _search(spec, resume=resume, address=address)


def _search(spec: SearchSpec, *, resume: bool, address: str | None) -> None:
    from adaptune.data.splits import load_splits
    from adaptune.search.cluster import chatter_to
    from adaptune.search.preflight import check_metric, make_plan
    from adaptune.search.results import claim, exclusive

    since = time.perf_counter()
    splits = load_splits(spec.data, spec.seed)
    check_metric(spec, splits)
    if address is None:
        make_plan(spec, [local_resources()])
    folder = claim(spec, resume=resume)
    with exclusive(folder), chatter_to(folder.log) as console:
        try:
            _search_on_cluster(spec, splits, folder, console, resume=resume, address=address, since=since)
        except (typer.Exit, AdaptuneError):
            raise
        except KeyboardInterrupt:
            console.print(f"\nstopped; all is kept in {folder.path}. Go on with the same command and --resume.")
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            with suppress(OSError):  # a full disk
                traceback.print_exc()  # into the log, with what Ray said of it
            console.print(
                f"the search failed: {error}\nWhat was finished is kept in {folder.path}; the details are in"
                f" {folder.log.name}. The same command with --resume goes on."
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
    from adaptune.search.cluster import await_plan, joined, token_hint
    from adaptune.search.results import unclaim
    from adaptune.search.tuner import run_search

    try:
        with joined(address, spec.name) as dashboard:
            plan = await_plan(spec, console)
            console.print(f"adaptune: {spec.name}, {plan.describe()}", highlight=False)
            if dashboard:
                console.print(f"dashboard: http://{dashboard}{token_hint()}", highlight=False)
            console.print(f"results: {folder.path}", highlight=False, soft_wrap=True)
            outcome = run_search(spec, splits, plan, folder, console, since=since)
    except BAD_INPUT:
        if not resume and not folder.journal.exists():
            unclaim(folder)
        raise
    if outcome.best is None:
        console.print(outcome.summary["verdict"])
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


def local_resources() -> dict[str, float]:
    """What a Ray started here will count."""
    import torch
    from ray._private.utils import get_num_cpus

    return {"CPU": float(get_num_cpus()), "GPU": float(torch.cuda.device_count())}


def _print_plan(spec: SearchSpec) -> None:
    from adaptune.data.registry import check_name
    from adaptune.search.preflight import make_plan, rungs
    from adaptune.search.samplers import planned_trials
    from adaptune.spec import dump

    for domain in (spec.data.source, spec.data.target):
        check_name(domain.domain)
    try:
        plan = make_plan(spec, [local_resources()]).describe()
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
    names = {
        "adapted": "target_test_accuracy",
        "source only": "source_only_test_accuracy",
        "information only": "information_only_test_accuracy",
        "target supervised": "target_supervised_test_accuracy",
    }
    console.print(
        f"\n{summary['trials_total']} trials: {summary['trials_complete']} complete,"
        f" {summary['trials_pruned']} stopped early, {summary['trials_failed']} failed;"
        f" {summary['wall_s']:.0f} s",
        highlight=False,
    )
    for name, key in names.items():
        if summary[key] is not None:
            console.print(f"  {name:<18}{summary[key]:.1%}", highlight=False)
    if summary["gap_closed"] is not None:
        console.print(f"  {'gap closed':<18}{summary['gap_closed']:.2f}", highlight=False)
    console.print(summary["verdict"], highlight=False)


def main() -> None:
    """Run, and turn what a user can get wrong into one readable message and exit status 2."""
    try:
        app()
    except BAD_INPUT as error:
        print(f"adaptune: {error}", file=sys.stderr)
        sys.exit(2)
    except AdaptuneError as error:
        print(f"adaptune: {error}", file=sys.stderr)
        sys.exit(1)


def run_search_script() -> None:
    """`python run_search.py …` is `adaptune search …`."""
    sys.argv.insert(1, "search")
    main()
